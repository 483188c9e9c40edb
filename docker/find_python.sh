#!/usr/bin/env bash
# Print the path of a CPython of each version: one of this machine, else one made from Debian's packages.
#
#   docker/find_python.sh VERSION...      # 3.11 3.14
#
# This machine's are pyenv's, those on PATH and those in /usr/bin. The packages are those of Debian 14 (forky), which has
# the current versions; they are unpacked, not installed, into build/pythons/ beside this folder, with the C library that
# they need. What is built with such a Python is built with this machine's compiler and C library all the same.
# A version that cannot be had is named on stderr and left out; the exit status is 1 then.
# Environment: CAFFE_DEBIAN_MIRROR, the mirror (default: the one apt takes Debian from here).
set -euo pipefail

readonly SUITE=forky
top=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=docker/debian.sh
. "$top/docker/debian.sh"

# A shim of pyenv runs only where its version is the chosen one, so that candidates are asked who they are.
installed() { # VERSION
  local candidate
  for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python"$1" "python$1" "/usr/bin/python$1"; do
    command -v "$candidate" >/dev/null || continue
    "$candidate" -c 'import sys, sysconfig
assert sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
print(sys.executable)' 2>/dev/null && return
  done
  return 1
}

# Debian's executable wants Debian's loader in /lib. Ours is one line of C around its libpython, with the loader and the
# libraries that were unpacked beside it.
unpack() { # VERSION FOLDER
  local mirror package libraries
  libraries=$2/usr/lib/$(uname -m)-linux-gnu
  mirror=${CAFFE_DEBIAN_MIRROR:-$(apt_mirror)}
  private_apt "$2/apt" \
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:?apt knows no mirror: apt-get update} $SUITE main"
  apt-get "${apt_options[@]}" install --download-only --yes --no-install-recommends "python$1" "libpython$1-dev"
  for package in "$2"/apt/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$2"
  done
  rm -r "$2/apt"
  # pyconfig.h includes <x86_64-linux-gnu/python3.14/pyconfig.h>; the folder above it has another C library's headers.
  mkdir "$2/usr/include/python$1/$(uname -m)-linux-gnu"
  ln -s "$2/usr/include/$(uname -m)-linux-gnu/python$1" "$2/usr/include/python$1/$(uname -m)-linux-gnu"
  gcc -x c - -o "$2/usr/bin/python$1" -L"$libraries" "-l:libpython$1.so.1.0" \
    "-Wl,--disable-new-dtags,-rpath,$libraries,--allow-shlib-undefined,--dynamic-linker,$(echo "$libraries"/ld-linux-*.so.*)" \
    <<<'int Py_BytesMain(int, char **); int main(int count, char **words) { return Py_BytesMain(count, words); }'
  "$2/usr/bin/python$1" -c 'import ctypes, ssl, zlib'
  touch "$2/whole"
}

status=0
for version; do
  folder=$top/build/pythons/$version
  if installed "$version"; then
    continue
  elif [[ ! -e $folder/whole ]]; then # paths within are absolute, so that it is made in its place
    rm -rf "$folder"
    mkdir -p "$top/build/pythons"
    unpack "$version" "$folder" >"$folder.log" 2>&1 & # "if unpack" would switch set -e off inside
    if ! wait "$!"; then
      tail -n 5 "$folder.log" >&2
      echo "find_python.sh: no CPython $version here, and none from Debian's $SUITE; all of the log: $folder.log" >&2
      status=1
      continue
    fi
  fi
  echo "$folder/usr/bin/python$version"
done
exit "$status"
