//! Names of users, as `/etc/passwd` has them. Who is in no such file is a number.

use std::collections::HashMap;

/// The users of this machine.
pub struct People {
    names: HashMap<u32, String>,
}

impl People {
    /// Reads the file; whatever is wrong with it, numbers do as well.
    pub fn read() -> Self {
        Self::of(&std::fs::read("/etc/passwd").unwrap_or_default())
    }

    fn of(table: &[u8]) -> Self {
        let mut names = HashMap::new();
        for line in table.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()) {
            let mut fields = line.split(':');
            if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
                // As everywhere, the first entry counts.
                names.entry(uid).or_insert_with(|| name.to_owned());
            }
        }
        Self { names }
    }

    /// The name of a user, or his number.
    pub fn name(&self, uid: u32) -> String {
        self.names.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::People;

    #[test]
    fn the_first_entry_counts_and_who_is_in_none_is_a_number() {
        let people =
            People::of(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nbroken\n\xff:x:5:5\nann:x:7:7");
        assert_eq!([0, 5, 7].map(|uid| people.name(uid)), ["root", "5", "ann"]);
    }
}
