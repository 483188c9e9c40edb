#!/usr/bin/env bash
# Build an image of nsfw_caffe and prove it: the published bits, not as root, without a network, on a read-only root.
#
#   docker/test_images.sh [runtime|test|gpu|arm64]
#     arm64    the runtime image for linux/arm64; elsewhere qemu-user emulates the CPU, which takes its time
#
# With Docker where its daemon answers; else, as root on Debian, with buildah: build steps and containers are chroots
# then, and the base image is made from the packages of the machine's own Debian mirror, so no registry is needed.
# Logs, and what buildah keeps for the next run, lie in build/images/.
# Exit status: 0 proved, 1 not proved, 77 skipped: nothing here can build images.
# Environment: NSFW_CAFFE_MODEL_SOURCE and CAFFE_DEBIAN_MIRROR go into the build; NSFW_CAFFE_PUBLISHED names a folder
# with published.json and its pictures, to be checked too.
set -euo pipefail

readonly CERTIFICATES=/etc/ssl/certs/ca-certificates.crt # of this machine, for networks that re-sign TLS
readonly MOST_MB=680
readonly PHOTO=skimage/data/rocket.jpg
readonly CONFINED='import errno, os, socket
assert os.getuid() and os.getgid(), "this is root"
assert socket.socket().connect_ex(("192.0.2.1", 9)) == errno.ENETUNREACH, "there is a network"
assert os.statvfs("/").f_flag & os.ST_RDONLY, "the root can be written to"
print("user", os.getuid())'
# In the container, which nobody can connect to: the service, and one who asks it.
readonly SERVES='import json, subprocess, sys, time, urllib.error, urllib.request
photo, expected = open(sys.argv[1], "rb").read(), float(sys.argv[2])
ask = lambda path, data=None: urllib.request.urlopen("http://127.0.0.1:8000" + path, data, timeout=60)
service = subprocess.Popen(["nsfw-caffe", "serve", "--host", "0.0.0.0", *sys.argv[3:]])
for _ in range(600):
    try:
        ask("/readyz")
        break
    except urllib.error.URLError:
        assert service.poll() is None, "the service has ended"
        time.sleep(0.1)
answer = json.load(ask("/v1/score", photo))
assert answer["score"] == expected, answer
assert b"nsfw_caffe_score_count 1.0" in ask("/metrics").read(), "the score was not counted"
assert b"</html>" in ask("/").read(), "there is no page"
service.terminate()
assert service.wait(60) == 0, "SIGTERM did not end it with status 0"
print(answer)'
target=${1:-runtime}
score=0.0003674396139103919 # of PHOTO in nsfw_caffe/fidelity/recorded.json, ijg9d, atlas
published=(--published)
if [[ $target == arm64 ]]; then # which has no libjpeg 9d
  score=0.00046262 # pillow; the digits that do not depend on the BLAS
  published=()
fi
image=localhost/nsfw-caffe:$target
base=docker.io/library/debian:bookworm-slim
platform=() # this machine's
cd "$(dirname "$0")/.."
work=$PWD/build/images
pictures=$work/pictures

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*" >&2 && exit 1; }
skip() { say "SKIPPED, no image was built: $*" >&2 && exit 77; }

# logged LOG COMMAND...: the output goes to a log, whose end is shown if the command fails.
logged() {
  "${@:2}" >"$work/$1.log" 2>&1 && return
  tail -n 40 "$work/$1.log" >&2
  fail "${*:2:2} ... (all of it: $work/$1.log)"
}

# ---- with Docker ----

docker_build() { DOCKER_BUILDKIT=1 logged build docker build "$@"; }
docker_size() { docker image inspect --format '{{.Size}}' "$image"; }
docker_run() { # [--entrypoint PROGRAM] [ARGUMENT...]
  local options=(--rm --network none --read-only --volume "$pictures:/data:ro")
  [[ $target != test ]] || options+=(--tmpfs /tmp)
  options+=("${platform[@]}")
  [[ ${1:-} != --entrypoint ]] || { options+=("$1" "$2") && shift 2; }
  docker run "${options[@]}" "$image" "$@"
}

docker_emulate() {
  local said
  said=$(docker run --rm "${platform[@]}" "$base" true 2>&1) ||
    skip "Docker starts no programs of arm64 (its machine needs qemu-user-static and binfmt-support): ${said##*$'\n'}"
}

# ---- with buildah ----

buildah_prepare() {
  local mirror architecture keys=/usr/share/keyrings/debian-archive-keyring.gpg
  if ! { command -v buildah && command -v ip && command -v mmdebstrap; } >/dev/null; then
    say "installing buildah, iproute2 and mmdebstrap"
    logged apt apt-get update
    DEBIAN_FRONTEND=noninteractive logged apt apt-get install --yes --no-install-recommends buildah iproute2 mmdebstrap
  fi
  export BUILDAH_ISOLATION=chroot TMPDIR=$work CONTAINERS_STORAGE_CONF=$work/storage.conf
  rm -rf "$work/run" # what is mounted, as far as it knew when it was last killed
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' \
    "$work/storage" "$work/run" >"$CONTAINERS_STORAGE_CONF"
  ! buildah inspect --type image "$base" >/dev/null 2>&1 || return 0
  say "making $base"
  mirror=$(apt-get --print-uris download base-files 2>/dev/null | sed -n "s|^'\(.*\)/pool/.*|\1|p")
  [[ -n $mirror ]] || fail "apt knows no Debian mirror: run apt-get update"
  printf 'Types: deb\nURIs: %s\nSuites: bookworm\nComponents: main\nSigned-By: %s\n' \
    "$mirror" "$keys" >"$work/debian.sources"
  # Like the registry's: /usr merged without the help of perl, and no documents.
  architecture=$(dpkg --print-architecture)
  [[ $target != arm64 ]] || architecture=arm64
  logged base mmdebstrap --architectures="$architecture" --variant=minbase --include=usr-is-merged --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    bookworm "$work/base.tar" "$work/debian.sources"
  printf 'FROM scratch\nADD base.tar /\nENV PATH=%s\n' /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin |
    logged base buildah build "${platform[@]}" --format docker --tag "$base" --file - "$work"
  rm "$work/base.tar"
}

# Debian 12's emulator shows programs this machine's /proc/cpuinfo, at which onnxruntime dies; Debian 13's has one of
# its own. It is linked statically, and registered with the flag F, so that chroots find it too.
buildah_emulate() {
  local folder=/proc/sys/fs/binfmt_misc
  if [[ ! -x $work/qemu/usr/bin/qemu-aarch64 ]]; then
    say "fetching Debian 13's qemu-user"
    logged qemu fetch_emulator
  fi
  if ! command -v arch-test >/dev/null; then
    DEBIAN_FRONTEND=noninteractive logged apt apt-get install --yes --no-install-recommends arch-test
  fi
  [[ -e $folder/register ]] || mount --types binfmt_misc binfmt_misc "$folder" || skip "binfmt_misc cannot be mounted"
  # Programs are known by their ELF headers: 64 bits, little endian, of the machine 183, executable or shared.
  [[ -e $folder/nsfw-caffe-arm64 ]] || printf '%s' ':nsfw-caffe-arm64:M:' \
    ':\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00' \
    ':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff' \
    ":$work/qemu/usr/bin/qemu-aarch64:POCF" >"$folder/register"
  arch-test arm64 >/dev/null || skip "this machine starts no programs of arm64"
}

fetch_emulator() {
  # shellcheck source=docker/debian.sh
  . docker/debian.sh
  private_apt "$work/apt" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(apt_mirror) trixie main" &&
    (cd "$work" && apt-get "${apt_options[@]}" download qemu-user) &&
    dpkg-deb --extract "$work"/qemu-user_*.deb "$work/qemu" &&
    rm -r "$work/apt" "$work"/qemu-user_*.deb
}

buildah_build() {
  logged build nice buildah build --pull=never --format docker --layers "$@"
  container=$(buildah from --pull-never "${platform[@]}" "$image")
  trap 'buildah rm "$container" >/dev/null' EXIT
  root=$(buildah mount "$container")
}
buildah_size() { du --summarize --one-file-system --block-size=1 "$root" | cut -f 1; }
buildah_config() { buildah inspect --format "{{$1}}" "$container" | sed '/^$/d'; }

# `buildah run` shares the machine's network, and its root can be written to. So the root is entered here, as the
# image's user, in namespaces of its own: mounted read-only, with no network but a loopback.
buildah_run() { # [--entrypoint PROGRAM] [ARGUMENT...]
  local command variables
  mapfile -t variables < <(buildah_config 'range .OCIv1.Config.Env}}{{println .}}{{end')
  mapfile -t command < <(buildah_config 'range .OCIv1.Config.Entrypoint}}{{println .}}{{end')
  if [[ ${1:-} == --entrypoint ]]; then
    command=("$2") && shift 2
  elif (($# == 0)); then
    mapfile -t -O "${#command[@]}" command < <(buildah_config 'range .OCIv1.Config.Cmd}}{{println .}}{{end')
  fi
  # shellcheck disable=SC2016 # the inner shell expands these
  unshare --net --mount --pid --fork bash -euc '
    target=$1 root=$2 pictures=$3 user=$4 folder=$5
    mkdir --parents "$root/data"
    mount --bind "$root" "$root"
    mount --bind --options ro "$pictures" "$root/data"
    mount --rbind /dev "$root/dev"
    mount --types proc proc "$root/proc"
    [[ $target != test ]] || mount --types tmpfs tmpfs "$root/tmp"
    ip link set lo up
    mount --options remount,bind,ro "$root"
    exec chroot --userspec="$user" "$root" /usr/bin/env --ignore-environment --chdir="$folder" "${@:6}"
  ' - "$target" "$root" "$pictures" "$(buildah_config .OCIv1.Config.User)" \
    "$(buildah_config .OCIv1.Config.WorkingDir)" "${variables[@]}" "${command[@]}" "$@"
}

# ---- what is proved ----

# check WHAT COMMAND...: the command succeeds in the image.
check() {
  logged run "${tool}_run" "${@:2}"
  say "ok: $1: $(tail -n 1 "$work/run.log")"
}

prove_scores() {
  "${tool}_run" --entrypoint sh -c "cat /opt/nsfw_caffe/lib/python3.*/site-packages/$PHOTO" >"$pictures/photo.jpg"
  check "classify" classify /data/photo.jpg
  [[ $target == arm64 ]] || check "classify --published" classify --published /data/photo.jpg
  [[ $(<"$work/run.log") == "$score"* ]] || fail "the recorded score is $score"
  score=$(cut --fields 1 "$work/run.log")
  check "verify" verify
  [[ $target != arm64 ]] || return 0
  check "verify --published" verify --published
  if [[ -n ${NSFW_CAFFE_PUBLISHED:-} ]]; then
    cp --recursive "$NSFW_CAFFE_PUBLISHED"/* "$pictures"
    check "scores that others published" verify --published --against /data/published.json
  fi
}

# A folder of one's own, as training writes it: the original's two files, with a remark in one so that it is another.
prove_own_model() {
  local name
  mkdir -p "$pictures/mine"
  for name in deploy.prototxt resnet_50_1by2_nsfw.caffemodel; do
    # shellcheck disable=SC2016 # the image's shell expands these
    "${tool}_run" --entrypoint sh -c 'cat "$NSFW_CAFFE_MODEL_DIR/$0"' "$name" >"$pictures/mine/$name"
  done
  echo '# mine' >>"$pictures/mine/deploy.prototxt"
  printf '{"format": 1, "classes": ["things", "animals"], "score_class": "animals", "prototxt": %s, "caffemodel": %s}' \
    "$(described deploy.prototxt)" "$(described resnet_50_1by2_nsfw.caffemodel)" >"$pictures/mine/model.json"
  check "classify --model" classify "${published[@]}" --model /data/mine /data/photo.jpg
  [[ $(<"$work/run.log") == "$score"$'\t'* ]] || fail "the same network's score is $score"
}

described() { # FILE
  local path=$pictures/mine/$1
  printf '{"name": "%s", "size": %d, "sha256": "%s"}' "$1" "$(stat -c %s "$path")" "$(sha256sum "$path" | cut -c -64)"
}

prove_service() {
  check "serve" --entrypoint python3 -c "$SERVES" /data/photo.jpg "$score" "${published[@]}"
}

prove_no_gpu() {
  local status=0
  "${tool}_run" classify --device gpu:0 /data/photo.jpg >"$work/run.log" 2>&1 || status=$?
  say "classify --device gpu:0: status $status: $(<"$work/run.log")"
  [[ $status == 3 && $(<"$work/run.log") == *"CUDA finds 0 GPUs"* ]] || fail "expected status 3, and no GPU found"
}

# ---- main ----

case $target in
  runtime | test) options=(--file docker/Dockerfile --target "$target") ;;
  gpu) options=(--file docker/Dockerfile.gpu) ;;
  arm64)
    platform=(--platform linux/arm64)
    options=(--file docker/Dockerfile --target runtime "${platform[@]}")
    ;;
  *) fail "usage: docker/test_images.sh [runtime|test|gpu|arm64]" ;;
esac
if docker info >/dev/null 2>&1; then
  tool=docker
elif ((EUID != 0)); then
  skip "no Docker daemon answers, and buildah's chroots need root"
elif ! grep --quiet '^ID=debian' /etc/os-release; then
  skip "no Docker daemon answers, and this is not Debian, whose packages buildah's base image is made of"
elif [[ -z ${NSFW_CAFFE_MOUNTS:-} ]]; then
  NSFW_CAFFE_MOUNTS=own exec unshare --mount "$PWD/docker/test_images.sh" "$@" # buildah leaves mounts behind
else
  tool=buildah
fi
mkdir -p "$pictures"
if [[ $target == arm64 && $(uname -m) != aarch64 ]]; then
  "${tool}_emulate"
fi
if [[ $tool == buildah ]]; then
  if [[ $target == arm64 ]]; then
    base=localhost/debian:bookworm-slim-arm64
    options+=(--build-arg "BASE=$base")
  fi
  buildah_prepare
fi
for name in NSFW_CAFFE_MODEL_SOURCE CAFFE_DEBIAN_MIRROR; do
  [[ -z ${!name:-} ]] || options+=(--build-arg "$name=${!name}")
done
[[ ! -r $CERTIFICATES ]] || options+=(--secret "id=ca,src=$CERTIFICATES")
say "building $image with $tool"
"${tool}_build" "${options[@]}" --tag "$image" .
megabytes=$(($("${tool}_size") / 1000000))
say "built: $megabytes MB"
check "not root, no network, a read-only root" --entrypoint python3 -c "$CONFINED"
case $target in
  runtime | arm64)
    ((megabytes < MOST_MB)) || fail "more than $MOST_MB MB"
    prove_scores
    prove_own_model
    prove_service
    ;;
  gpu)
    prove_scores
    prove_service
    prove_no_gpu
    ;;
  test) check "the fidelity tests" ;;
esac
say "proved: $image"
