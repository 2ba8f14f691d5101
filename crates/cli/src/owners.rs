//! Names of users and groups on this machine, for showing.

use std::collections::BTreeMap;

/// Numbers and names, as `/etc/passwd` and `/etc/group` have them. Directories of users on the network are not asked.
#[derive(Debug, Default)]
pub struct Owners {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Owners {
    /// Those of this machine.
    pub fn here() -> Self {
        let read = |path: &str| names(&std::fs::read(path).unwrap_or_default());
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// The user's name, or his number.
    pub fn user(&self, number: u32) -> String {
        self.users.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }

    /// The group's name, or its number.
    pub fn group(&self, number: u32) -> String {
        self.groups.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }
}

/// `name:password:number:…`; of two with the same number the first counts.
fn names(table: &[u8]) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in table.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, number) = (fields.next(), fields.nth(1));
        let number = number.and_then(|number| str::from_utf8(number).ok()?.parse().ok());
        if let (Some(name), Some(number)) = (name, number) {
            names.entry(number).or_insert_with(|| String::from_utf8_lossy(name).into_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{Owners, names};

    #[test]
    fn the_first_name_of_a_number_counts_and_others_are_numbers() {
        let users =
            names(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nnonsense\n\nbad:x:y\nwww:x:33:33::/:\n");
        let owners = Owners { users, ..Owners::default() };
        assert_eq!([0, 33, 7].map(|number| owners.user(number)), ["root", "www", "7"]);
        assert_eq!(owners.group(0), "0");
    }
}
