//! What stands at the end of every help: what is not plain, examples, exit codes.

use crate::exit;

/// `what`, and the exit codes.
pub fn of(what: &str) -> String {
    format!("{what}\n\n{}", exit::HELP)
}

pub const GENERAL: &str = "\
Every snapshot is a plain directory that looks like a full copy; files that have not changed are hard links to the \
snapshot before. A snapshot appears under its name only when it is complete, checked and on disk.

Examples:
  linksnap backup --init --repo /backup /etc /home
  linksnap restore latest /etc/fstab --target /tmp/restored";

pub const INIT: &str = "\
Tries out what the filesystem can do, and says what cannot be kept there. In a copy of a repository nothing is written \
before --moved has said that the copy is meant.

Examples:
  linksnap init --repo /backup
  linksnap init --repo /mnt/larger-disk --moved";

pub const BACKUP: &str = "\
Without arguments all configured jobs run, one after another; the worst exit code wins. Arguments are names of \
configured jobs. An argument with a slash, or one that no job is called and that exists, is a path: paths are backed up \
ad hoc, as the job that --job names (else the host's short name), by the rules in [defaults] of the configuration, if \
there is one.

Once the snapshot is published, what the job's `keep` does not keep is dropped (see `linksnap prune --help`). A \
dropped snapshot is out of the history at once; the next run is built upon what is left of it.

A source that is gone or empty though it was not is refused. If more than half of one is gone or changed (and not just \
a few entries), the snapshot before is pinned, nothing is dropped in this run, and the exit code is 3. \
--accept-change says beforehand that it is as it should be.

Examples:
  linksnap backup                                    all configured jobs
  linksnap backup --init --repo /backup /etc /home   these paths; no configuration is needed
  linksnap backup web1 --tag before-upgrade          with a label, for --keep-tag";

pub const SNAPSHOTS: &str = "\
Examples:
  linksnap snapshots
  linksnap snapshots web1 --json";

pub const LS: &str = "\
Without a path, everything in the snapshot; with paths, what is directly in them. In a pipe a newline in a name is \
written as \\n, and all else as it is; --json is exact for all names.

Examples:
  linksnap ls latest /etc
  linksnap ls -l --recursive web1/2026-04-08 /srv/www";

pub const RESTORE: &str = "\
A path is restored below the target with its parents: /etc/fstab becomes DIR/etc/fstab. Parents that are there already \
stay as they are. Without --overwrite nothing may be in the way.

--in-place restores to where it came from, --overwrite over what is in DIR. What is right already is left alone: a file \
that is as it was when it was backed up is not read, another of the same size is compared by its hash. What differs only \
in mode, owner, time or extended attributes gets these, unless it has further hard links; then, and for all else that \
differs, a new file takes its place. What is replaced or removed is kept in .linksnap-restore, in the directory that is \
restored, until everything is done and on disk. If a restore is interrupted, it stays there, and the message says how to \
get it back.

--in-place shows first what is to be done, and asks, if there is a terminal (after anything but yes nothing is restored, \
and the exit code is 1); without one it restores only with --yes. --delete removes what the snapshot does not have, but \
only from directories of which everything was backed up, and nothing that is mounted.

Owners are restored by number, as they were. --owner name gives files to whoever has the same name on this machine: the \
names are those in etc/passwd and etc/group of the snapshot, which must have them; who is in neither keeps the number. \
For a whole system, numbers are right. Only root can restore owners and devices; what an ordinary user could not store \
of them is in the catalog, and comes back when root restores.

Examples:
  linksnap restore latest /etc/fstab --target /tmp/restored
  linksnap restore web1/2026-04-08 --target /mnt/new-disk
  linksnap restore latest /etc --in-place -n          what differs
  linksnap restore latest /srv/www --in-place --delete";

pub const VERIFY: &str = "\
Reads every stored byte and compares it with its hash, each inode once however many snapshots have it.

Examples:
  linksnap verify
  linksnap verify web1/latest --structure";

pub const REINDEX: &str = "\
Reads all snapshots of a job, every stored inode once, and writes a new catalog of them. The old one is kept beside it \
as .linksnap/catalog.old. No snapshot is changed, and nothing is deleted. Pins, tags, notes and problems are taken from \
the old catalog and from its copy, as far as these can be read; pins that are lost have to be set again before the next \
run drops what they held.

Hashes are computed from what is stored: `verify` counts such files as unwitnessed until a backup has found the same \
bytes in the source. The next backup reads all files, and links those that have not changed.

Examples:
  linksnap reindex --job web1
  linksnap reindex web1 -n";

pub const JOBS: &str = "\
Examples:
  linksnap jobs list
  linksnap jobs check --exclude /srv/www/cache/index.html";

pub const LIST: &str = "\
Examples:
  linksnap jobs list";

pub const NAMES: &str = "\
Without ROOT all of the filesystem is looked through that can be seen, from where its top is mounted; a number means an \
inode of the current directory's filesystem. Looking ends when there are as many names as the link count says. Of a \
symbolic link its own names are told, of a directory its only one. Standard output has one name a line; how many \
were found, and where others may be, is said on standard error.

For a file in a snapshot of a repository, and for a number with --repo, the catalog is asked instead, which knows the names \
in all snapshots; with ROOT the disk is looked at there, too.

The exit code is 1 if there is no such inode, or if a ROOT is not there, and then nothing is looked at; it is 3 if names are \
missing and directories could not be read.

Examples:
  linksnap names /srv/www/logo.png
  linksnap names /srv/www/logo.png /srv /home
  linksnap names 1312345 /var
  linksnap names /backup/web1/latest/srv/www/logo.png";

pub const USAGE: &str = "\
Without PATH all mounted filesystems that can be filled, each once however often it is mounted; with PATH those that the \
paths are on. Percentages are of what ordinary users may fill, rounded up, as df has them. A number of inodes with ~ is of \
a filesystem that makes them as needed: so many would fit into the free space. - stands where none are counted.

--warn and --crit are percentages of bytes or inodes, whatever is fuller. If a filesystem reaches them, the exit code is \
1 (warning) or 2 (critical). --monitor prints what monitoring systems expect of a plugin: one line with performance data, \
by default with 80 and 95, and exit code 3 if something cannot be found out. Else, if a PATH is not there, nothing is looked \
at, and the exit code is 1.

--where counts the inodes and bytes below directories (by default the current one), each inode once: one with several \
names in the directory whose path comes first. What is mounted below is left out. Bytes are those on the disk, as du counts \
them; with --apparent-size the sizes of files and symbolic links.

Examples:
  linksnap usage
  linksnap usage /srv /home --warn 80 --crit 95
  linksnap usage --monitor
  linksnap usage --where /var --by inodes";

pub const DELETED: &str = "\
A file without a name keeps its blocks until the last process lets it go: that is why df says more than du. Shown are \
its size on the disk, who holds it and how (the number of the open file, mapped, the program itself, its working directory), \
and since when it has no name, as far as the inode tells. Files in memory that never had a name are left out. An ordinary \
user can look only into his own processes, and so can root in most containers; how many others there are is said, and if \
/proc hides them (hidepid).

--truncate PID:FD makes such a file empty, and frees it without ending the process. It asks, if there is a terminal; \
without one it needs --yes. The process is not told: that is harmless for logs, and ruins most other files. What has a \
name, is mapped, or is another file by then is refused (12).

Examples:
  linksnap deleted
  linksnap deleted --json
  linksnap deleted --truncate 812:7 -n
  linksnap deleted --truncate 812:7";

pub const PRUNE: &str = "\
What to keep comes from the --keep options; if there is none, from the job's section of the configuration, else from \
[defaults]. A snapshot stays if one of the rules keeps it. A rule that counts keeps the newest snapshot of each of the \
last so many hours, days, weeks, months or years that have one, and the oldest snapshot of all while there are fewer; \
`within` goes back from the newest snapshot. Hours, days, weeks (from Monday on), months and years are those of the \
time zone. A snapshot with problems stands for a day only if no clean one does. A rule that counts to 0 is as good as \
absent; without any rule all are kept.

Never dropped, whatever the rules say: the newest snapshot, the newest one without problems, and pinned ones. If the \
clock looks wrong (a snapshot of the future, or a jump), nothing is dropped, and the exit code is 12. It is also 12 for \
rules that would drop every snapshot of a job: they are not followed.

If less room is free than --free-space or --free-inodes want, further snapshots are dropped, the oldest first, until \
there is enough or --min are left; if that is not enough, the exit code is 12.

SPAN is written like 2d, 36h or 1y 6mo: y(ears), mo or m (months), w(eeks), d(ays), h(ours). DATE is a day, which means \
its end, a date and time like 2026-04-08T02:00 in the time zone, or one with its own zone like 2026-04-08T02:00Z.

Dropped snapshots are out of the history at once; then what only they held is deleted. That can be interrupted: the \
next run or prune goes on with it. One that cannot be moved (something is mounted on it, or it is immutable) stays, and \
the exit code is 3.

Examples:
  linksnap prune -n                   what would become of each snapshot, and why
  linksnap prune -n --simulate 90d    what would be there in 90 days
  linksnap prune web1 --keep-last 3 --keep-daily 7
  linksnap prune --free-space 10% --min 5";

pub const DELETE: &str = "\
Tells first how much is freed, counted exactly: what only these snapshots have. Then it asks, if there is a terminal \
(after anything but yes nothing is deleted, and the exit code is 1); without one it deletes only with --yes. All go out of the history at once; then their trees are deleted, which can be \
interrupted: the next run goes on with it.

Deleting the newest is no harm: latest then points to the one before, and the next run links to that. A pinned \
snapshot is refused.

Examples:
  linksnap delete web1/2026-04-08
  linksnap delete oldest latest~3 -n
  linksnap delete web1/2026-04-08 --yes";

pub const PIN: &str = "\
A pinned snapshot is dropped by no rule, and not deleted by hand either. DATE is a day, at the end of which the pin \
ends, a date and time like 2026-04-08T02:00 in the local time zone or 2026-04-08T02:00Z, or a span from now, like 90d \
or 1y. Pinning again replaces date and note; without --note the note stays.

Examples:
  linksnap pin latest --note 'before the upgrade'
  linksnap pin web1/2026-04-08 --until 2026-12-31";

pub const UNPIN: &str = "\
The note stays.

Examples:
  linksnap unpin web1/2026-04-08";

pub const DU: &str = "\
For each snapshot: size, what it holds in all; added, what it has that no older snapshot has; alone, what no other \
snapshot has, which is what deleting it alone would free. All of it is from the catalog, and exact.

Bytes are those of the content of files, each inode once, holes not counted. On the disk every file takes whole blocks \
(JSON has block_bytes, rounded up so), and directories take some on top. Inodes are files, symbolic links and special \
files, each once however many names it has, and the directories of every snapshot.

--verify counts the inodes and the sizes of files on the disk, locks the job meanwhile, and compares: if they are not \
what the catalog says, the exit code is 4. --history goes by days of the local time zone.

Examples:
  linksnap du
  linksnap du web1/2026-04-08
  linksnap du --if-deleted oldest web1/2026-04-08
  linksnap du --if-pruned --keep-daily 7
  linksnap du web1 --history";

pub const DANGLING: &str = "\
A link is dangling when the kernel cannot follow it: what it leads to is missing, a loop, not a directory, without \
permission, or has too long a name. Where the way ends behind the first part of what the link says, that is said. Each \
line is PATH -> TEXT: REASON, sorted by path; with --print or --print0 only the paths, as of find(1).

Nothing but symbolic links is looked at, none is followed on the way, what is mounted below a ROOT is left out unless \
--cross-mounts is given, and /proc, /sys and the like are never entered. A ROOT that is a link itself is followed.

--fix shows a plan and does it with --yes, or after asking if there is a terminal. For each link the first of HOW that \
fits is taken: search (what has the same name below --search, if there is only one; several are listed, the likeliest \
first; it must belong to root or to the link's owner), relative (an absolute link leads to what is below ROOT under the same path, or the end of it), remove. Without \
HOW: search,relative. What is done is written to an undo file first, and each link is looked at again before it is \
touched: what has changed since it was planned stays. Links of the alternatives system, and those of which nobody knows \
whether there is something, are left alone.

--alternatives reads what update-alternatives (on Fedora: alternatives) keeps of its groups, and compares it with the links: \
those that are missing, lead nowhere or elsewhere, and choices that are gone; with the command that mends each.

Exit code 1: there are such links (with --fix: some are left), or a ROOT is not there, and then nothing was looked at. 0: \
there are none. 3: there are none, but parts could not be read (with --fix: something was refused).

Examples:
  linksnap dangling /srv/www
  linksnap dangling --print0 /srv/www | xargs -0 ls -l
  linksnap dangling /srv/www --fix --search /srv
  linksnap dangling /srv/www --fix=search,remove --yes --undo /root/www.undo
  linksnap dangling --alternatives";

pub const DEDUPE: &str = "\
Of equal files the one with most names stays, else the oldest, else the first by path; the others become further names of \
it. With --reflink they stay files of their own, with their attributes, and share its blocks.

Linked are only files of the same mode, owner, group, modification time and extended attributes, unless told otherwise; \
then those of the file that stays hold for all. From then on, whoever writes to one writes to all: do not link what is \
edited in place. With -o or -c the owner of the file that stays can write to all of them: not for trees of users who do \
not trust each other. Empty files are left alone, and with --reflink those smaller than a block of 4 KiB: they would free \
nothing. So is what is mounted below a ROOT; no link leads across filesystems, and none beyond the most names that the \
filesystem allows. A ROOT with a repository in it is refused (12); if one is not there, nothing is looked at (1).

What is to be done is shown; then it is asked for, or needs --yes. Before a name is replaced, both files are compared \
byte by byte; it is replaced at once, so that it is never missing, and the old file is removed only if no process has it \
open for writing and nothing has changed meanwhile, else it gets its name back. Root sees all processes but those of \
other machines (NFS) and of PID namespaces that enclose this one; an ordinary user sees only his own. Files that were \
written in the last 10 seconds, that are locked (flock), open for writing or changed since they were read are left, and \
the exit code is 3.

A command that was killed can leave a name `.linksnap-` with 32 digits behind. Those are told, with what to do; one that is \
a further name of a file that is here goes, if it is older than an hour: nothing is lost by that.

What is linked is recorded first in a file that `linksnap undo` takes back: every file gets an inode of its own again, \
with the attributes that it had.

Examples:
  linksnap dedupe /srv/www -n                  what is equal, and what linking frees
  linksnap dedupe /srv/www /srv/archive --ignore-times --yes
  linksnap dedupe --reflink /home --min-size 1MiB";

pub const UNDO: &str = "\
FILE was written by a command that changed links or linked files. Its changes are taken back, the last one first, each only if what it \
left is still there; otherwise it is left alone and the exit code is 3. What was taken back already, or was never done \
because the command was interrupted, is counted and no problem. A file that others than you and root could have written \
is refused; if one is not there, nothing is taken back (1). The file stays.

Examples:
  linksnap undo linksnap-dangling-2026-04-08T020000Z.undo -n
  linksnap undo linksnap-dangling-2026-04-08T020000Z.undo --yes";

pub const RESOLVE: &str = "\
Shows each step that the kernel takes: mode, owner and name of every directory and link on the way, names in a link's \
text moved in, other filesystems in brackets. `..` is what is above the directory reached, not the part of the path \
before it. The last line says where the path leads, or where it goes no further and why: a name is missing, links lead \
in a circle or are more than 40, something is no directory, or you may not search a directory.

-f, -e and -m print what readlink(1) prints. In a pipe a newline in a name is written as \\n; --json is exact for all \
names.

The exit code is 1 if one of the paths goes no further.

Examples:
  linksnap resolve /etc/alternatives/editor
  linksnap resolve -e current/../shared
  linksnap resolve --json /proc/self/exe";

pub const LN: &str = "\
Makes hard links, or symbolic ones with -s. The text of a symbolic link is the target as typed, seen from the link's \
directory; --relative and --absolute find it out, and imply -s. They follow links on the way to the target, but not the \
target itself: a link to `current` stays one.

Before something is replaced, and before a symbolic link is made that leads nowhere or back to itself, it asks, if there \
is a terminal; without one nothing is made, and the exit code is 12, unless --force says so. Directories are never \
replaced. A link that is there already as it is wanted is left alone. What is replaced is replaced at once: there is no \
moment without the name. If something else takes the name meanwhile, that stays, and nothing is made.

If one of several links cannot be made, none is. -n means --dry-run here; what it means to ln(1) is --no-dereference. \
-v says inode numbers and counts of names, before and after.

Examples:
  linksnap ln -s releases/43 current
  linksnap ln -s -f -T releases/43 current     replaces the link, even if it leads to a directory
  linksnap ln --relative /srv/shared/a.conf /etc/app/
  linksnap ln --swap current next";

pub const LINKS: &str = "\
Each link is absolute or relative, and can be: dangling (the kernel cannot follow it), leaving (it says a path out of the \
ROOT that it was found below), crossing (what it leads to is on another filesystem), longer (than a text of the same \
manner that leads to the same; --list shows it). None is followed on the way; what is mounted below a ROOT is left out \
unless --cross-mounts is given.

--to-relative, --to-absolute and --shorten show a plan, and do it with --yes, or after asking if there is a terminal. A new \
text leads to the same file or directory, which is looked at before each change, and through the same other links. What \
is done is written to an undo file first. Links that lead nowhere stay, and so do those that update-alternatives or \
systemd compare by their text; -v lists them. --to-relative changes only what stays below the ROOT, so that it can be \
moved, unless --leaving is given.

Exit code 1: the plan was not carried out, or a ROOT is not there, and then nothing was looked at. 3: something could not be read, or was refused.

Examples:
  linksnap links /srv/www
  linksnap links /srv/www --list leaving,longer
  linksnap links /srv/www --to-relative -n
  linksnap links /srv/www --to-relative --yes --undo /root/www.undo";

pub const INODE: &str = "\
Of each path: kind, mode, owner, size, blocks and holes, names and how many there can be, all four times, flags (as \
lsattr has them), ACLs, SELinux label, extended attributes, filesystem and mount. Then what `rm` would do: whether it \
would be refused, what it would free, how many other names keep the inode, and which processes do. Nothing is changed, \
and nothing is read but where holes are.

An ordinary user cannot look into other users' processes, nor can root in most containers; how many those are is said, \
and if /proc hides them (hidepid). -v shows all processes, not only ten. On filesystems that share blocks between files (XFS, btrfs) less than said may be freed.

The exit code is 1 if one of the paths is not there.

Examples:
  linksnap inode /var/log/syslog
  linksnap inode -L /etc/alternatives/editor
  linksnap inode --json *.img";
