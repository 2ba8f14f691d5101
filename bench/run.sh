#!/usr/bin/env bash
# Measures linksnap against cp, rsync, b3sum and the bare system-call loops on a fresh ext4 in a loop device.
# Every command is shown; the candidates of a case take turns, round by round; medians and ratios come last.
# shellcheck disable=SC2016 # the lines for timed_line are expanded by the shell that runs them
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: bench/run.sh [--files N] [--directories N] [--rounds N] [--size SIZE] [--cases LETTERS] [--table FILE]

  --files N         files in the tree (default 200000)
  --directories N   directories below its root (default 2000)
  --rounds N        how often every candidate runs (default 5)
  --size SIZE       size of the sparse ext4 image (default 16G)
  --cases LETTERS   which cases (default abcdefghi):
                      a  first copy: linksnap backup, cp -a, rsync -a
                      b  no change: linksnap backup, link-loop, rsync --link-dest; cp -al and stat-walk, which do half
                      c  verify: linksnap verify, find | xargs b3sum
                      d  peak memory of linksnap backup: no files, all files
                      e  delete a tree of links: unlink-loop, rm -rf
                      f  steady state (keep the last 5), no change: linksnap backup, rsync --link-dest and rm -rf,
                         rsync into the renamed oldest tree, stat-walk
                      g  the same with 1 % of the files changed before each round; copy-loop: the bare stats, copies,
                         links and sync of that
                      h  the same without a change and with cold caches: time, and read requests of the device
                      i  delete one snapshot for good: linksnap delete, rm -rf, unlink-loop
  --table FILE      keep every single figure in FILE

Needs root (loop mount), rsync, b3sum, python3 and `cargo build --release`. LINKSNAP is the binary under test (default
target/release/linksnap); what it cannot do yet is skipped, and said. RSYNC is the rsync to compare with: its version
matters, since later ones open every path component by component. The image is made in TMPDIR (default /var/tmp) and
removed at the end. Build nothing meanwhile.
TEXT
}

files=200000 directories=2000 rounds=5 size=16G cases=abcdefghi table=
while (($#)); do
    case $1 in
        --files) files=$2 ;;
        --directories) directories=$2 ;;
        --rounds) rounds=$2 ;;
        --size) size=$2 ;;
        --cases) cases=$2 ;;
        --table) table=$2 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift 2
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$here/../target/release
linksnap=$(realpath -m "${LINKSNAP:-$bin/linksnap}")
bin=$(realpath "$bin")
export RSYNC=${RSYNC:-rsync}

die() { printf 'run.sh: %s\n' "$*" >&2; exit 1; }
((EUID == 0)) || die "needs root: it mounts an ext4 image"
for tool in "$RSYNC" b3sum python3 mkfs.ext4 "$bin/make-tree" "$bin/link-loop" "$bin/stat-walk" "$bin/copy-loop" \
    "$bin/unlink-loop"; do
    command -v "$tool" >/dev/null || die "$tool is missing (cargo build --release, apt install rsync b3sum e2fsprogs)"
done
# A version manager's shim would be started as a shell script for every figure.
python=$(python3 -c 'import sys; print(sys.executable)')

work=$(mktemp -d "${TMPDIR:-/var/tmp}/linksnap-bench.XXXXXX")
fs=$work/fs
clean_up() {
    cd /
    # A command that an interrupt left running keeps the filesystem busy: then it goes when the command ends.
    if mountpoint -q "$fs"; then umount "$fs" 2>/dev/null || umount --lazy "$fs"; fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[[ -n $table ]] || table=$work/table
: >"$table"

# --- the stage ---------------------------------------------------------------------------------------------------------

show() { printf '  $ %s\n' "${*//$fs/FS}"; }
title() { case_title=$1; printf '\n%s\n' "$1"; }

# Runs a command outside the timing.
quietly() { show "$@"; "$@" >/dev/null; }

# Times a command. What others left in the page cache is written first, so that no one pays for them.
timed() {
    local name=$1
    shift
    sync -f "$fs"
    show "$@"
    "$python" "$here/measure.py" "$table" "$case_title" "$name" "$@"
}

# Times a shell line, for candidates of more than one command. Its variables are $SRC, $PREV and $NEW.
timed_line() {
    local name=$1 line=$2
    sync -f "$fs"
    printf '  $ %s\n' "$line"
    "$python" "$here/measure.py" "$table" "$case_title" "$name" bash -c "$line"
}

remove() {
    local tree
    for tree in "$@"; do
        if [[ -e $tree ]]; then "$bin/unlink-loop" "$tree" >/dev/null; fi
    done
    sync -f "$fs"
}

truncate -s "$size" "$work/image"
# An inode per 8 KiB, for several copies of a tree of small files; inode tables and journal are zeroed now, not by a
# kernel thread during the measurements.
mkfs.ext4 -q -i 8192 -E lazy_itable_init=0,lazy_journal_init=0 "$work/image"
mkdir "$fs"
mount -o loop "$work/image" "$fs"

printf 'kernel %s, %s processors, load %s\n' "$(uname -r)" "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
printf '%s, %s\n' "$("$RSYNC" --version | head -n1)" "$(b3sum --version)"
export SRC=$fs/src PREV=$fs/prev NEW=$fs/new
show "$bin/make-tree" "$SRC" --files "$files" --directories "$directories" --seed 1
"$bin/make-tree" "$SRC" --files "$files" --directories "$directories" --seed 1
sync -f "$fs"
# Into the page cache; this also does the one update of the access time that relatime makes.
warm() { find "$1" -type f -print0 | xargs -0 -n 1000 cat >/dev/null; }
warm "$SRC"
# Changes younger than two seconds count as racy and would be read again.
sleep 3

# --- what the binary under test can do ---------------------------------------------------------------------------------

skipped=()
skip() { skipped+=("$1"); printf '  SKIPPED %s\n' "$1"; }

# Tries init, backup and verify on a small tree, so that a candidate is left out as a whole or not at all.
try_linksnap() {
    abilities=
    if [[ ! -x $linksnap ]]; then
        printf 'linksnap: no binary at %s (build it or set LINKSNAP)\n' "$linksnap"
        return
    fi
    mkdir "$fs/try" "$fs/try/src"
    echo text >"$fs/try/src/file"
    if "$linksnap" init --repo "$fs/try/repo" >"$work/try" 2>&1 &&
        "$linksnap" backup --repo "$fs/try/repo" --job bench --no-prune -q "$fs/try/src" >>"$work/try" 2>&1 &&
        compgen -G "$fs/try/repo/bench/2*$fs/try/src/file" >/dev/null; then
        abilities+=' backup'
        if "$linksnap" verify --repo "$fs/try/repo" --job bench -q >>"$work/try" 2>&1; then abilities+=' verify'; fi
    fi
    if [[ $abilities != *verify* ]]; then
        printf 'linksnap: can only:%s; it said:\n' "${abilities:- nothing}"
        tail -n 5 "$work/try"
    fi
    rm -rf "$fs/try"
}
try_linksnap
can() { [[ " $abilities " == *" $1 "* ]]; }

backup() { printf '%s\0' "$linksnap" backup --repo "$1" --job bench --no-prune -q "$2"; }
timed_backup() {
    local -a command
    mapfile -d '' command < <(backup "$2" "$3")
    timed "$1" "${command[@]}"
}
quiet_backup() {
    local -a command
    mapfile -d '' command < <(backup "$1" "$2")
    quietly "${command[@]}"
}

# --- the cases ---------------------------------------------------------------------------------------------------------

first_copy() {
    title "a. first copy of $files files, warm source"
    can backup || skip "a: linksnap backup"
    local round
    for ((round = 1; round <= rounds; round++)); do
        if can backup; then
            quietly "$linksnap" init --repo "$fs/repo"
            timed_backup "linksnap backup" "$fs/repo" "$SRC"
            rm -rf "$fs/repo"
        fi
        timed_line "cp -a; sync -f" 'cp -a "$SRC" "$NEW" && sync -f "$NEW"'
        remove "$NEW"
        timed_line "rsync -a; sync -f" '"$RSYNC" -a "$SRC/" "$NEW/" && sync -f "$NEW"'
        remove "$NEW"
    done
}

no_change() {
    title "b. no change in $files files, warm"
    can backup || skip "b: linksnap backup"
    local round
    quietly "$RSYNC" -a "$SRC/" "$PREV/"
    # linksnap's snapshots of all rounds stay in its repository: a link and $directories directories a round.
    if can backup; then
        quietly "$linksnap" init --repo "$fs/repo"
        quiet_backup "$fs/repo" "$SRC"
        sleep 3
    fi
    # The first walk of each tree would read what the later ones find in memory.
    quietly "$bin/stat-walk" "$PREV"
    quietly "$bin/stat-walk" "$SRC"
    for ((round = 1; round <= rounds; round++)); do
        if can backup; then timed_backup "linksnap backup" "$fs/repo" "$SRC"; fi
        timed "link-loop --sync" "$bin/link-loop" "$PREV" "$NEW" --sync
        remove "$NEW"
        timed "link-loop" "$bin/link-loop" "$PREV" "$NEW"
        remove "$NEW"
        timed_line "rsync --link-dest; sync -f" '"$RSYNC" -a --link-dest="$PREV" "$SRC/" "$NEW/" && sync -f "$NEW"'
        remove "$NEW"
        timed_line "rsync --link-dest" '"$RSYNC" -a --link-dest="$PREV" "$SRC/" "$NEW/"'
        remove "$NEW"
        timed "cp -al" cp -al "$PREV" "$NEW"
        remove "$NEW"
        timed "stat-walk of the source" "$bin/stat-walk" "$SRC"
    done
    remove "$PREV"
    rm -rf "$fs/repo"
}

verify() {
    title "c. verify $files files, warm"
    local round
    if can verify; then
        quietly "$linksnap" init --repo "$fs/repo"
        quiet_backup "$fs/repo" "$SRC"
        NEW=$fs/repo/bench/latest/
    else
        skip "c: linksnap verify (b3sum reads a copy by cp instead)"
        quietly cp -a "$SRC" "$NEW"
    fi
    warm "$NEW"
    for ((round = 1; round <= rounds; round++)); do
        if can verify; then timed "linksnap verify" "$linksnap" verify --repo "$fs/repo" --job bench -q; fi
        timed_line "b3sum" 'find "$NEW" -type f -print0 | xargs -0 -n 1000 b3sum >/dev/null'
        timed_line "b3sum, xargs -P2" 'find "$NEW" -type f -print0 | xargs -0 -n 1000 -P2 b3sum >/dev/null'
    done
    NEW=$fs/new
    rm -rf "$fs/repo" "$NEW"
}

memory() {
    title "d. peak memory of linksnap backup"
    can backup || { skip "d: linksnap backup"; return; }
    local round
    mkdir "$fs/empty"
    for ((round = 1; round <= rounds; round++)); do
        quietly "$linksnap" init --repo "$fs/none"
        quietly "$linksnap" init --repo "$fs/all"
        timed_backup "no files" "$fs/none" "$fs/empty"
        timed_backup "$files files, first copy" "$fs/all" "$SRC"
        timed_backup "$files files, no change" "$fs/all" "$SRC"
        rm -rf "$fs/none" "$fs/all"
    done
    rmdir "$fs/empty"
}

delete() {
    title "e. delete $files links"
    local round
    quietly cp -a "$SRC" "$PREV"
    for ((round = 1; round <= rounds; round++)); do
        quietly "$bin/link-loop" "$PREV" "$NEW" --sync
        timed "unlink-loop" "$bin/unlink-loop" "$NEW"
        quietly "$bin/link-loop" "$PREV" "$NEW" --sync
        timed "rm -rf" rm -rf "$NEW"
    done
    remove "$PREV"
}

# The steady state: every run makes one snapshot and retires the oldest of five.
keep_five() {
    printf 'repository = "%s"\n[defaults]\nkeep = { last = 5 }\n' "$fs/repo" >"$work/keep.toml"
}

# Six trees of each way, so that the seventh begins the steady state.
steady_start() {
    keep_five
    quietly "$linksnap" init --repo "$fs/repo"
    mkdir "$fs/link" "$fs/trick"
    quietly "$RSYNC" -a "$SRC/" "$fs/link/1/"
    quietly "$RSYNC" -a "$SRC/" "$fs/trick/1/"
    local number
    for number in 2 3 4 5; do
        cp -al "$fs/link/1" "$fs/link/$number"
        cp -al "$fs/trick/1" "$fs/trick/$number"
    done
    newest=5
    for number in 1 2 3 4 5 6 7; do
        quietly "$linksnap" backup --config "$work/keep.toml" --job bench -q "$SRC"
        sleep 1.1
    done
    sleep 3
    quietly "$bin/stat-walk" "$SRC"
}

steady_end() {
    remove "$fs/link" "$fs/trick" "$fs/floor"
    rm -rf "$fs/repo"
}

# One round of all ways; $1 is called before each of them.
steady_round() {
    local before=$1 oldest=$((newest - 4)) next=$((newest + 1))
    export OLD=$fs/link/$oldest LAST=$fs/link/$newest NEXT=$fs/link/$next
    $before
    timed "linksnap backup" "$linksnap" backup --config "$work/keep.toml" --job bench -q "$SRC"
    $before
    timed_line "rsync --link-dest; rm -rf" \
        '"$RSYNC" -a --link-dest="$LAST" "$SRC/" "$NEXT/" && rm -rf "$OLD"'
    export OLD=$fs/trick/$oldest LAST=$fs/trick/$newest NEXT=$fs/trick/$next
    $before
    timed_line "mv; rsync --delete --link-dest" \
        'mv "$OLD" "$NEXT" && "$RSYNC" -a --delete --link-dest="$LAST" "$SRC/" "$NEXT/"'
    $before
    timed "stat-walk of the source" "$bin/stat-walk" "$SRC"
    if [[ -n ${STAMP:-} ]]; then
        mv "$fs/floor/$oldest" "$fs/floor/$next"
        timed "copy-loop of what changed" "$bin/copy-loop" "$SRC" "$fs/floor/$next" "$STAMP.$next" \
            --basis "$fs/floor/$newest" --since "$STAMP.$((next - 4))"
    fi
    newest=$next
    # Two snapshots of one second would be told apart, but not by name.
    sleep 1.1
}

steady() {
    title "f. steady state, no change in $files files, warm"
    local round newest
    steady_start
    for ((round = 1; round <= rounds; round++)); do steady_round :; done
    steady_end
}

steady_changed() {
    title "g. 1 % of $files files changed, warm: the five rounds after which all five snapshots differ"
    local round newest
    steady_start
    find "$SRC" -type f | sort >"$work/files"
    mkdir "$fs/floor"
    local -x STAMP=$work/stamp
    for round in 1 2 3 4 5; do
        cp -al "$fs/link/$round" "$fs/floor/$round"
        touch "$STAMP.$round"
    done
    for ((round = 1; round <= 5 + rounds; round++)); do
        if ((round == 6)); then title "g. steady state, 1 % of $files files changed, warm"; fi
        # No file may be older than the stamp by the clock of the filesystem and younger by that of `touch`.
        touch "$STAMP.$((newest + 1))"
        sleep 0.1
        # Other files each time, of the same size as before.
        awk -v "n=$round" 'NR % 100 == n % 100' "$work/files" | while read -r file; do
            printf '%s' "$round" | dd of="$file" conv=notrunc status=none
        done
        sync -f "$fs"
        sleep 3
        steady_round :
    done
    steady_end
}

forget() { sync; echo 3 >/proc/sys/vm/drop_caches; }

steady_cold() {
    title "h. steady state, no change in $files files, cold"
    local round newest
    steady_start
    DEVICE=$(findmnt -n -o SOURCE "$fs")
    export DEVICE
    for ((round = 1; round <= rounds; round++)); do steady_round forget; done
    unset DEVICE
    warm "$SRC"
    steady_end
}

delete_one() {
    title "i. delete one snapshot of $files names"
    local round
    quietly "$linksnap" init --repo "$fs/repo"
    quiet_backup "$fs/repo" "$SRC"
    quietly cp -a "$SRC" "$PREV"
    for ((round = 1; round <= rounds; round++)); do
        sleep 3
        quiet_backup "$fs/repo" "$SRC"
        timed "linksnap delete" "$linksnap" delete --repo "$fs/repo" --yes -q bench/latest~1
        quietly cp -al "$PREV" "$NEW"
        timed "rm -rf" rm -rf "$NEW"
        quietly cp -al "$PREV" "$NEW"
        timed "unlink-loop" "$bin/unlink-loop" "$NEW"
    done
    remove "$PREV"
    rm -rf "$fs/repo"
}

if [[ $cases == *a* ]]; then first_copy; fi
if [[ $cases == *b* ]]; then no_change; fi
if [[ $cases == *c* ]]; then verify; fi
if [[ $cases == *d* ]]; then memory; fi
if [[ $cases == *e* ]]; then delete; fi
if [[ $cases == *f* ]]; then steady; fi
if [[ $cases == *g* ]]; then steady_changed; fi
if [[ $cases == *h* ]]; then steady_cold; fi
if [[ $cases == *i* ]]; then delete_one; fi

printf '\n== Medians of %s rounds; ratio against the first of each case; load now %s ==\n' \
    "$rounds" "$(cut -d' ' -f1-3 /proc/loadavg)"
"$python" "$here/summary.py" "$table"
if ((${#skipped[@]})); then
    printf '\nSKIPPED:\n'
    printf '    %s\n' "${skipped[@]}"
fi
