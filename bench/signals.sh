#!/usr/bin/env bash
# Measures how long linksnap takes to end after a signal, at moments spread over runs that copy, on a fresh ext4 in a
# loop device.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: bench/signals.sh [--files N] [--large SIZE] [--moments N] [--every SECONDS] [--signal INT|TERM]

  --files N         small files in the source (default 200000, 1.9 GB)
  --large SIZE      one large file beside them (default 4G)
  --moments N       how many runs are interrupted (default 20)
  --every SECONDS   by how much later each run than the one before (default 0.5)
  --signal NAME     which signal (default INT)

Every run is a first copy into an empty repository. Needs root and `cargo build --release`.
TEXT
}

files=200000 large=4G moments=20 every=0.5 signal=INT
while (($#)); do
    case $1 in
        --files) files=$2 ;;
        --large) large=$2 ;;
        --moments) moments=$2 ;;
        --every) every=$2 ;;
        --signal) signal=$2 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift 2
done

bin=$(cd "$(dirname "${BASH_SOURCE[0]}")/../target/release" && pwd)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/linksnap-signals.XXXXXX")
fs=$work/fs
clean_up() {
    if mountpoint -q "$fs"; then umount "$fs"; fi
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT

truncate -s 24G "$work/image"
mkfs.ext4 -q -i 8192 -E lazy_itable_init=0,lazy_journal_init=0 "$work/image"
mkdir "$fs"
mount -o loop "$work/image" "$fs"
"$bin/make-tree" "$fs/src" --files "$files" --directories $((files / 100)) --seed 1 >/dev/null
head -c "$large" /dev/urandom >"$fs/src/large"
sync -f "$fs"

for ((moment = 1; moment <= moments; moment++)); do
    rm -rf "$fs/repo"
    "$bin/linksnap" init -q --repo "$fs/repo"
    sync -f "$fs"
    "$bin/linksnap" backup -q --repo "$fs/repo" --job bench "$fs/src" 2>/dev/null &
    run=$!
    sleep "$(awk -v n="$moment" -v every="$every" 'BEGIN { print n * every }')"
    sent=$EPOCHREALTIME
    if ! kill -"$signal" "$run" 2>/dev/null; then wait "$run" || true; break; fi
    code=0
    wait "$run" || code=$?
    printf '%s %s %s\n' "$moment" "$code" "$(awk -v a="$sent" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')"
done | tee "$work/all" | awk '{ printf "signal at moment %d: exit %d after %s s\n", $1, $2, $3; fflush() }'
sort -k3 -n "$work/all" | awk '{ all[NR] = $3 } END { printf "median %.2f s, most %.2f s of %d runs\n", all[int((NR + 1) / 2)], all[NR], NR }'
