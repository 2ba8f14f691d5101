#!/usr/bin/env bash
# Measures the tools of the workshop against the classic ones, in alternating pairs, on a fresh ext4 in a loop device.
# shellcheck disable=SC2016 # the lines are expanded by the shell that runs them
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: bench/tools.sh [--files N] [--rounds N] [--cases LETTERS]

  --files N         files in the tree (default 200000), in a hundredth as many directories
  --rounds N        how often every candidate runs (default 7)
  --cases LETTERS   which cases (default abcd):
                      a  dangling: find -xtype l
                      b  names of a file with three names, all of the tree looked through: find -samefile
                      c  usage --where: du --inodes
                      d  dedupe -n: fclones group, hardlink -n (once a round for the latter)

A tenth as many symbolic links as files, one in a hundred of them dangling; for d a fifth of the files are there twice.
Warm caches. Needs root, `cargo build --release`, findutils, coreutils, hardlink of util-linux, and fclones in PATH (`cargo
install fclones`); what is missing is skipped, and said. Build nothing meanwhile.
TEXT
}

files=200000 rounds=7 cases=abcd
while (($#)); do
    case $1 in
        --files) files=$2 ;;
        --rounds) rounds=$2 ;;
        --cases) cases=$2 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift 2
done

bin=$(cd "$(dirname "${BASH_SOURCE[0]}")/../target/release" && pwd)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/linksnap-tools.XXXXXX")
fs=$work/fs
clean_up() {
    cd /
    if mountpoint -q "$fs"; then umount "$fs"; fi
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT

truncate -s 16G "$work/image"
mkfs.ext4 -q -i 8192 -E lazy_itable_init=0,lazy_journal_init=0 "$work/image"
mkdir "$fs"
mount -o loop "$work/image" "$fs"
export LINKSNAP=$bin/linksnap TREE=$fs/tree
"$bin/make-tree" "$TREE" --files "$files" --directories $((files / 100)) --seed 1 >/dev/null
# Every hundredth link leads nowhere.
find "$TREE" -type f | awk 'NR % 10 == 0' | awk '{
    name = $0; sub(/.*\//, "", name)
    print (NR % 100 == 0 ? "gone-" name : name) "\t" $0 ".link"
}' | while IFS=$'\t' read -r text link; do ln -s "$text" "$link"; done
first=$(find "$TREE" -type f -print -quit)
ln "$first" "$TREE/second name"
ln "$first" "$TREE/third name"
export FIRST=$first
sync -f "$fs"
printf 'kernel %s, %s processors, load %s\n' "$(uname -r)" "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"

# Runs LINE; adds "NAME SECONDS" to $work/times. The exit code is left alone: some tools report what they find by it.
timed() {
    local name=$1 line=$2 began
    began=$EPOCHREALTIME
    bash -c "$line" >/dev/null 2>&1 || true
    awk -v name="$name" -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%s\t%.3f\n", name, b - a }' >>"$work/times"
}

# TITLE, then NAME LINE pairs; the first is ours. A round takes each once, in turning order.
pairs() {
    local title=$1 round at count names=() lines=()
    shift
    while (($#)); do names+=("$1"); lines+=("$2"); shift 2; done
    count=${#names[@]}
    printf '\n%s\n' "$title"
    for ((at = 0; at < count; at++)); do
        printf '  %s: %s\n' "${names[at]}" "${lines[at]}"
        bash -c "${lines[at]}" >/dev/null 2>&1 || true
    done
    : >"$work/times"
    for ((round = 0; round < rounds; round++)); do
        for ((at = 0; at < count; at++)); do
            timed "${names[(at + round) % count]}" "${lines[(at + round) % count]}"
        done
    done
    python3 - "$work/times" "${names[@]}" <<'PYTHON'
import statistics
import sys

table, ours, *others = sys.argv[1:]
times = {}
for row in open(table, encoding="utf-8"):
    name, seconds = row.rstrip("\n").split("\t")
    times.setdefault(name, []).append(float(seconds))
for name in [ours, *others]:
    seconds = times[name]
    ratio = statistics.median(theirs / mine for theirs, mine in zip(seconds, times[ours]))
    print(f"  {statistics.median(seconds):8.3f} s [{min(seconds):.3f}-{max(seconds):.3f}]  {ratio:6.2f}  {name}")
PYTHON
}

if [[ $cases == *a* ]]; then
    pairs "a. symbolic links that lead nowhere" \
        "linksnap dangling" '"$LINKSNAP" dangling "$TREE"' \
        "find -xtype l" 'find "$TREE" -xtype l'
fi
if [[ $cases == *b* ]]; then
    pairs "b. all names of a file" \
        "linksnap names" '"$LINKSNAP" names --all "$FIRST" "$TREE"' \
        "find -samefile" 'find "$TREE" -samefile "$FIRST"'
fi
if [[ $cases == *c* ]]; then
    pairs "c. which directories hold inodes" \
        "linksnap usage --where" '"$LINKSNAP" usage --where "$TREE"' \
        "du --inodes" 'du --inodes "$TREE"'
fi
if [[ $cases == *d* ]]; then
    mkdir "$fs/twice"
    cp -a "$TREE" "$fs/twice/one"
    mkdir "$fs/twice/two"
    (cd "$fs/twice/one" && find . -type f | awk 'NR % 5 == 0' | xargs -d '\n' cp -a --parents -t "$fs/twice/two")
    sync -f "$fs"
    # What was written a moment ago is left alone.
    sleep 15
    find "$fs/twice" -type f -print0 | xargs -0 -n 1000 cat >/dev/null
    export TWICE=$fs/twice
    candidates=("linksnap dedupe -n" '"$LINKSNAP" dedupe -n -q "$TWICE"')
    if command -v fclones >/dev/null; then
        candidates+=("fclones group" 'fclones group --min 1 "$TWICE"')
    else
        printf 'skipped: no fclones\n'
    fi
    if command -v hardlink >/dev/null; then
        candidates+=("hardlink -n" 'hardlink -n "$TWICE"')
    else
        printf 'skipped: no hardlink\n'
    fi
    pairs "d. equal files" "${candidates[@]}"
fi
