//! What a process belongs to.

/// What a process belongs to, by its control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A service of the system.
    System(String),
    /// A service of a user.
    User(String),
    /// A session that somebody has opened.
    Session(String),
    /// A container, by its control group.
    Container(String),
    /// Nobody knows.
    None,
}

impl Unit {
    /// From `proc_pid_cgroup(5)`: of the lines that of systemd's own hierarchy, which is the only one in version 2.
    pub(super) fn of(table: &[u8]) -> Self {
        let lines = || table.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
        let named = |prefix: &str| {
            lines().find_map(|line| line.split_once(':')?.1.strip_prefix(prefix).map(str::to_owned))
        };
        named("name=systemd:").or_else(|| named(":")).map_or(Self::None, |group| Self::of_group(&group))
    }

    fn of_group(group: &str) -> Self {
        let parts: Vec<&str> = group.split('/').filter(|part| !part.is_empty()).collect();
        let is_container = |part: &&&str| {
            ["docker-", "libpod-", "crio-", "cri-containerd-"].iter().any(|start| part.starts_with(start))
        };
        let after = |word: &str| parts.iter().skip_while(|part| **part != word).nth(1);
        if let Some(container) =
            parts.iter().rfind(is_container).or_else(|| after("docker")).or_else(|| after("lxc"))
        {
            return Self::Container((*container).to_owned());
        }
        let unit = parts.iter().rfind(|part| part.ends_with(".service") || part.ends_with(".scope"));
        match unit {
            Some(unit) if unit.starts_with("session-") => Self::Session((*unit).to_owned()),
            Some(unit) if unit.starts_with("user@") => Self::Session((*unit).to_owned()),
            Some(unit) if group.contains("/user@") => Self::User((*unit).to_owned()),
            Some(unit) if unit.ends_with(".service") => Self::System((*unit).to_owned()),
            Some(unit) => Self::Session((*unit).to_owned()),
            None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn units_are_known_by_their_control_groups() {
        let table = [
            ("0::/system.slice/nginx.service\n", Unit::System("nginx.service".to_owned())),
            (
                "0::/system.slice/system-getty.slice/getty@tty1.service\n",
                Unit::System("getty@tty1.service".to_owned()),
            ),
            (
                "12:cpu:/\n1:name=systemd:/system.slice/cron.service\n0::/system.slice/other.service\n",
                Unit::System("cron.service".to_owned()),
            ),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", Unit::Session("session-3.scope".to_owned())),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service\n",
                Unit::User("editor.service".to_owned()),
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n",
                Unit::User("init.scope".to_owned()),
            ),
            ("0::/system.slice/docker-4f5e.scope\n", Unit::Container("docker-4f5e.scope".to_owned())),
            ("3:cpu:/docker/4f5e\n0::/docker/4f5e\n", Unit::Container("4f5e".to_owned())),
            ("0::/\n", Unit::None),
            ("", Unit::None),
        ];
        for (text, wanted) in table {
            assert_eq!(Unit::of(text.as_bytes()), wanted, "{text}");
        }
    }
}
