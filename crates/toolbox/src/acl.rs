//! POSIX ACLs, as the kernel keeps them in extended attributes (`acl(5)`, `linux/posix_acl_xattr.h`).

use std::fmt;

/// An ACL, its entries in the kernel's order, which is that of `getfacl(1)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// At least those of owner, group and others.
    pub entries: Vec<Entry>,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub who: Who,
    /// Read 4, write 2, execute 1.
    pub permissions: u8,
}

/// Whom an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The owner.
    Owner,
    /// This user.
    User(u32),
    /// The file's group.
    OwningGroup,
    /// This group.
    Group(u32),
    /// The most that users and groups named, and the file's group, may do.
    Mask,
    /// All others.
    Others,
}

impl Acl {
    /// From the value of `system.posix_acl_access` or `system.posix_acl_default`; `None` if that is none.
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Self> {
        let (version, rest) = value.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*version) != 2 || rest.len() % 8 != 0 {
            return None;
        }
        Some(Self { entries: rest.chunks_exact(8).map(entry).collect::<Option<_>>()? })
    }

    /// What the entry comes to, if the mask takes something away from it.
    #[must_use]
    pub fn effective(&self, entry: &Entry) -> Option<u8> {
        let mask = self.entries.iter().find(|entry| entry.who == Who::Mask)?.permissions;
        let is_masked = matches!(entry.who, Who::User(_) | Who::OwningGroup | Who::Group(_));
        let effective = entry.permissions & mask;
        (is_masked && effective != entry.permissions).then_some(effective)
    }
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let [tag, tag_high, permissions, 0, id @ ..] = bytes else { return None };
    let id = u32::from_le_bytes(id.try_into().ok()?);
    let who = match u16::from_le_bytes([*tag, *tag_high]) {
        0x01 => Who::Owner,
        0x02 => Who::User(id),
        0x04 => Who::OwningGroup,
        0x08 => Who::Group(id),
        0x10 => Who::Mask,
        0x20 => Who::Others,
        _ => return None,
    };
    (*permissions < 8).then_some(Entry { who, permissions: *permissions })
}

/// `rw-`.
#[must_use]
pub fn letters(permissions: u8) -> String {
    let sign = |bit, sign| if permissions & bit != 0 { sign } else { '-' };
    [sign(4, 'r'), sign(2, 'w'), sign(1, 'x')].iter().collect()
}

/// `user:1000:rw-`, as `getfacl -n` has it.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::Owner => write!(f, "user::"),
            Who::User(id) => write!(f, "user:{id}:"),
            Who::OwningGroup => write!(f, "group::"),
            Who::Group(id) => write!(f, "group:{id}:"),
            Who::Mask => write!(f, "mask::"),
            Who::Others => write!(f, "other::"),
        }?;
        f.write_str(&letters(self.permissions))
    }
}

#[cfg(test)]
mod tests {
    use super::Acl;

    fn value(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            value.extend(tag.to_le_bytes());
            value.extend(permissions.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    }

    #[test]
    fn entries_read_as_in_getfacl() {
        let none = u32::MAX;
        let value = value(&[(1, 6, none), (2, 6, 7), (4, 5, none), (8, 2, 9), (16, 4, none), (32, 0, none)]);
        let acl = Acl::decode(&value).unwrap();
        let text: Vec<String> = acl.entries.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["user::rw-", "user:7:rw-", "group::r-x", "group:9:-w-", "mask::r--", "other::---"]);
        let effective: Vec<Option<u8>> = acl.entries.iter().map(|entry| acl.effective(entry)).collect();
        assert_eq!(effective, [None, Some(4), Some(4), Some(0), None, None]);
    }

    #[test]
    fn what_is_no_acl_is_none() {
        let good = value(&[(1, 6, 0)]);
        for bad in [&b""[..], &good[..11], &good[1..], &value(&[(3, 6, 0)]), &value(&[(1, 8, 0)])] {
            assert_eq!(Acl::decode(bad), None, "{bad:?}");
        }
    }
}
