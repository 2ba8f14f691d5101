//! To whom restored files belong: by number, or by the name that the number had where the snapshot was taken.

use std::collections::HashMap;

use linksnap_inode::Xattrs;

/// What `/etc/passwd` and `/etc/group` say (`passwd(5)`, `group(5)`), as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub users: Vec<u8>,
    /// `/etc/group`.
    pub groups: Vec<u8>,
}

/// How owners are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ownership {
    /// By number, as recorded.
    #[default]
    Numeric,
    /// By name: to the number that the owner's name in the snapshot has among these accounts; by number where the
    /// name is in neither.
    ByName(Accounts),
}

/// Numbers of the source, and what they are here; a number that is not listed stays what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    users: HashMap<u32, u32>,
    groups: HashMap<u32, u32>,
}

impl Owners {
    /// Pairs the accounts there with those here, by name.
    #[must_use]
    pub fn between(there: &Accounts, here: &Accounts) -> Self {
        Self { users: pairs(&there.users, &here.users), groups: pairs(&there.groups, &here.groups) }
    }

    /// What a user of the source is here.
    #[must_use]
    pub fn user(&self, uid: u32) -> u32 {
        self.users.get(&uid).copied().unwrap_or(uid)
    }

    /// What a group of the source is here.
    #[must_use]
    pub fn group(&self, gid: u32) -> u32 {
        self.groups.get(&gid).copied().unwrap_or(gid)
    }

    /// The extended attributes with the users and groups that ACLs name as they are here.
    #[must_use]
    pub fn of_xattrs(&self, xattrs: Xattrs) -> Xattrs {
        if self.users.is_empty() && self.groups.is_empty() {
            return xattrs;
        }
        let mapped = xattrs.iter().map(|(name, value)| {
            let is_acl = name.starts_with(b"system.posix_acl_");
            (name.to_vec(), if is_acl { self.of_acl(value) } else { value.to_vec() })
        });
        mapped.collect()
    }

    /// An ACL as the kernel stores it: a version, then entries of tag, rights and number, little-endian
    /// (`linux/posix_acl_xattr.h`).
    fn of_acl(&self, value: &[u8]) -> Vec<u8> {
        const USER: u16 = 0x02;
        const GROUP: u16 = 0x08;
        let mut mapped = value.to_vec();
        let entries = mapped.get_mut(4..).unwrap_or_default();
        for entry in entries.chunks_exact_mut(8) {
            let tag = u16::from_le_bytes([entry[0], entry[1]]);
            let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            let id = match tag {
                USER => self.user(id),
                GROUP => self.group(id),
                _ => continue,
            };
            entry[4..].copy_from_slice(&id.to_le_bytes());
        }
        mapped
    }
}

fn pairs(there: &[u8], here: &[u8]) -> HashMap<u32, u32> {
    let here: HashMap<&[u8], u32> = accounts(here).collect();
    let mut pairs = HashMap::new();
    // The first name of a number is the one that counts, as for `getpwuid(3)`.
    for (name, id) in accounts(there) {
        pairs.entry(id).or_insert_with(|| here.get(name).copied().unwrap_or(id));
    }
    pairs.retain(|id, own| id != own);
    pairs
}

/// Names and numbers: the first and the third field of each line.
fn accounts(table: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let id = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
        Some((name, id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts_of(users: &str, groups: &str) -> Accounts {
        Accounts { users: users.into(), groups: groups.into() }
    }

    fn moved() -> Owners {
        let there = accounts_of(
            "root:x:0:0::/:/bin/sh\nwww:x:33:33::/:\nann:x:1000:1000::/:\nalso:x:33:33::/:\ngone:x:1005:1::/:\n",
            "root:x:0:\nwww:x:33:ann\nstaff:x:50:\n",
        );
        let here = accounts_of(
            "root:x:0:0::/:/bin/sh\nwww:x:48:48::/:\nann:x:1000:1000::/:\nalso:x:7:7::/:\nbob:x:33:33::/:\n",
            "root:x:0:\nwww:x:48:\n+::0\nnonsense\n",
        );
        Owners::between(&there, &here)
    }

    #[test]
    fn owners_go_by_name_and_else_by_number() {
        let owners = moved();
        let users = [0, 33, 1000, 1005, 4_000_000_000].map(|uid| owners.user(uid));
        assert_eq!(users, [0, 48, 1000, 1005, 4_000_000_000]);
        assert_eq!([0, 33, 50].map(|gid| owners.group(gid)), [0, 48, 50]);
    }

    #[test]
    fn owners_in_acls_go_by_name_too() {
        let entry = |tag: u16, id: u32| {
            let mut bytes = tag.to_le_bytes().to_vec();
            bytes.extend([6, 0]);
            bytes.extend(id.to_le_bytes());
            bytes
        };
        let acl = |user: u32, group: u32| {
            let undefined = u32::MAX;
            let entries = [entry(1, undefined), entry(2, user), entry(8, group), entry(0x10, undefined)];
            [2_u32.to_le_bytes().to_vec(), entries.concat()].concat()
        };
        let name = b"system.posix_acl_access".to_vec();
        let all =
            |value: Vec<u8>| Xattrs::from_iter([(name.clone(), value), (b"user.x".to_vec(), acl(33, 33))]);
        assert_eq!(moved().of_xattrs(all(acl(33, 33))), all(acl(48, 48)));
        let broken = Xattrs::from_iter([(name.clone(), vec![2, 0])]);
        assert_eq!(moved().of_xattrs(broken.clone()), broken);
    }
}
