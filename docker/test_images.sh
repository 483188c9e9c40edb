#!/usr/bin/env bash
# Build an image of nsfw_caffe and prove it: the published bits, as another user than root, with no network and a
# read-only root.
#
#   docker/test_images.sh [runtime|test|gpu]
#
# With Docker where its daemon answers. Else, as root on Debian, with buildah: build steps and containers are then chroots,
# and the base image is made from the packages of the machine's own Debian mirror; no registry is asked for anything.
# Exit status: 0 proved, 1 not proved, 77 skipped, because nothing here can build images.
# Environment: NSFW_CAFFE_MODEL_SOURCE and CAFFE_DEBIAN_MIRROR go into the build. NSFW_CAFFE_PUBLISHED names a folder with
# published.json and its pictures, which are then checked too. Logs and all of buildah's files lie in build/images/.
set -euo pipefail

readonly BASE=docker.io/library/debian:bookworm-slim
readonly PHOTO=skimage/data/rocket.jpg SCORE=0.0003674396139103919 # as in nsfw_caffe/recorded.json: ijg9d, atlas
readonly MOST_MB=650
readonly CONFINED='import errno, os, socket
assert os.getuid() and os.getgid(), "this is root"
assert socket.socket().connect_ex(("192.0.2.1", 9)) == errno.ENETUNREACH, "there is a network"
assert os.statvfs("/").f_flag & os.ST_RDONLY, "the root can be written to"'
target=${1:-runtime}
image=localhost/nsfw-caffe:$target
cd "$(dirname "$0")/.."
work=$PWD/build/images
pictures=$work/pictures
mkdir -p "$pictures"

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }
fail() {
  say "FAILED: $*" >&2
  exit 1
}
skip() {
  say "SKIPPED, no image was built: $*" >&2
  exit 77
}

# quietly LOG COMMAND...: the output goes to a log, whose end is shown if the command fails.
quietly() {
  "${@:2}" >"$work/$1.log" 2>&1 && return
  tail -n 40 "$work/$1.log" >&2
  fail "${*:2:2} ... (all of it: $work/$1.log)"
}

# ---- with Docker ----

docker_build() { DOCKER_BUILDKIT=1 quietly build docker build "$@"; }
docker_size() { docker image inspect --format '{{.Size}}' "$image"; }
docker_run() { # [--entrypoint PROGRAM] [ARGUMENT...]
  local options=(--rm --network none --read-only --tmpfs /tmp --volume "$pictures:/data:ro")
  [[ ${1:-} != --entrypoint ]] || { options+=("$1" "$2") && shift 2; }
  docker run "${options[@]}" "$image" "$@"
}

# ---- with buildah, where there is no daemon ----

buildah_prepare() {
  local mirror
  command -v buildah mmdebstrap >/dev/null || {
    say "installing buildah and mmdebstrap"
    quietly apt apt-get update
    DEBIAN_FRONTEND=noninteractive quietly apt apt-get install --yes --no-install-recommends buildah mmdebstrap
  }
  export BUILDAH_ISOLATION=chroot TMPDIR=$work CONTAINERS_STORAGE_CONF=$work/storage.conf
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$work/storage" "$work/run" >"$work/storage.conf"
  ! buildah inspect --type image "$BASE" >/dev/null 2>&1 || return 0
  say "making $BASE"
  mirror=$(apt-get --print-uris download base-files 2>/dev/null | sed -n "s|^'\(.*\)/pool/.*|\1|p")
  [[ -n $mirror ]] || fail "apt knows no Debian mirror: run apt-get update"
  printf 'Types: deb\nURIs: %s\nSuites: bookworm\nComponents: main\nSigned-By: %s\n' \
    "$mirror" /usr/share/keyrings/debian-archive-keyring.gpg >"$work/debian.sources"
  # Like the registry's: /usr merged without the help of perl, and no documents.
  quietly base mmdebstrap --variant=minbase --include=usr-is-merged --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    bookworm "$work/base.tar" "$work/debian.sources"
  printf 'FROM scratch\nADD base.tar /\nENV PATH=%s\n' /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin |
    quietly base buildah build --format docker --tag "$BASE" --file - "$work"
  rm "$work/base.tar"
}

buildah_build() {
  quietly build nice buildah build --pull=never --format docker --layers "$@"
  container=$(buildah from --pull-never "$image")
  trap 'buildah rm "$container" >/dev/null' EXIT
  root=$(buildah mount "$container")
}
buildah_size() { du --summarize --one-file-system --block-size=1 "$root" | cut -f 1; }
buildah_config() { buildah inspect --format "{{range .OCIv1.Config.$1}}{{println .}}{{end}}" "$container" | sed '/^$/d'; }

# buildah's own way to run shares the machine's network and lets a root file system be written to. So the image's root is
# entered here, in namespaces of its own: a loopback without an address, the root mounted read-only, as the image's user.
buildah_run() { # [--entrypoint PROGRAM] [ARGUMENT...]
  local command variables
  mapfile -t variables < <(buildah_config Env)
  mapfile -t command < <(buildah_config Entrypoint)
  [[ ${1:-} != --entrypoint ]] || { command=("$2") && shift 2; }
  (($#)) || mapfile -t -O "${#command[@]}" command < <(buildah_config Cmd)
  # shellcheck disable=SC2016 # the inner shell expands these
  unshare --net --mount --pid --fork bash -euc '
    root=$1 pictures=$2 user=$3 folder=$4
    mkdir --parents "$root/data"
    mount --bind "$root" "$root"
    mount --bind --options ro "$pictures" "$root/data"
    mount --rbind /dev "$root/dev"
    mount --types proc proc "$root/proc"
    mount --types tmpfs --options mode=1777 tmpfs "$root/tmp"
    mount --options remount,bind,ro "$root"
    exec chroot --userspec="$user" "$root" /usr/bin/env --ignore-environment --chdir="$folder" "${@:5}"
  ' - "$root" "$pictures" "$(buildah inspect --format '{{.OCIv1.Config.User}}' "$container")" \
    "$(buildah inspect --format '{{.OCIv1.Config.WorkingDir}}' "$container")" "${variables[@]}" "${command[@]}" "$@"
}

# ---- what is proved ----

# check WHAT COMMAND...: WHAT is said if the command succeeds in the image.
check() {
  quietly run "${tool}_run" "${@:2}"
  say "ok: $1"
}

prove_scores() {
  local score
  "${tool}_run" --entrypoint sh -c "cat /opt/nsfw_caffe/lib/python3.*/site-packages/$PHOTO" >"$pictures/photo.jpg"
  check "classify" classify /data/photo.jpg
  say "    $(cat "$work/run.log")"
  check "classify --published" classify --published /data/photo.jpg
  score=$(cut -f 1 "$work/run.log")
  [[ $score == "$SCORE" ]] || fail "the published set-up gives $score, recorded is $SCORE"
  check "verify: every recorded bit is equal" verify
  check "verify --published: every recorded bit is equal" verify --published
  if [[ -n ${NSFW_CAFFE_PUBLISHED:-} ]]; then
    cp "$NSFW_CAFFE_PUBLISHED"/* "$pictures"
    check "the scores that others published" verify --published --against /data/published.json
  fi
}

prove_no_gpu() {
  local status=0
  "${tool}_run" classify --device gpu:0 /data/photo.jpg >"$work/run.log" 2>&1 || status=$?
  say "--device gpu:0: status $status: $(cat "$work/run.log")"
  [[ $status == 3 && $(cat "$work/run.log") == *"CUDA finds 0 GPUs"* ]] || fail "expected status 3, and a word about GPUs"
}

# ---- main ----

case $target in
  runtime | test) options=(--file docker/Dockerfile --target "$target") ;;
  gpu) options=(--file docker/Dockerfile.gpu) ;;
  *) fail "usage: docker/test_images.sh [runtime|test|gpu]" ;;
esac
for name in NSFW_CAFFE_MODEL_SOURCE CAFFE_DEBIAN_MIRROR; do
  [[ -z ${!name:-} ]] || options+=(--build-arg "$name=${!name}")
done
certificates=/etc/ssl/certs/ca-certificates.crt # the machine's own, so that a network that re-signs TLS is no obstacle
[[ ! -r $certificates ]] || options+=(--secret "id=ca,src=$certificates")

if docker info >/dev/null 2>&1; then
  tool=docker
elif ((EUID != 0)); then
  skip "no Docker daemon answers, and buildah's chroots need root"
elif ! command -v apt-get >/dev/null || ! grep -q '^ID=debian' /etc/os-release; then
  skip "no Docker daemon answers, and this is not Debian, whose packages buildah would need"
else
  tool=buildah
  buildah_prepare
fi
say "building $image with $tool"
"${tool}_build" "${options[@]}" --tag "$image" .
megabytes=$(($("${tool}_size") / 1000000))
say "built: $megabytes MB"
check "user, network and root file system" --entrypoint python3 -c "$CONFINED"
case $target in
  runtime)
    ((megabytes < MOST_MB)) || fail "$megabytes MB is more than $MOST_MB MB"
    prove_scores
    ;;
  gpu)
    prove_scores
    prove_no_gpu
    ;;
  test)
    check "the fidelity tests"
    tail -n 3 "$work/run.log"
    ;;
esac
say "proved: $image"
