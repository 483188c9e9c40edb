"""What the library and its dependencies write into the home, and whom they call.

Each set of commands runs in children with a fresh home, under strace where that is installed.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pytest

from nsfw_caffe.model.spec import ModelFiles
from tests.clips import X264, Clip
from tests.support import ATLAS, PHOTOS, REPOSITORY, run

OWN_CACHE = "cache/nsfw_caffe"
"""The only place in the home where anything may appear: docs/privacy.md."""

NAME_SERVICE = {"/var/run/nscd/socket"}
"""What the C library asks for the user's name, which glog wants, before it reads /etc/passwd."""

LOOPBACK = {"127.0.0.1", "::ffff:127.0.0.1", "::1"}

PICTURE = "pictures/rocket.jpg"

WAIT = "import nsfw_caffe, sys, time; nsfw_caffe.Classifier(engine=sys.argv[1]); time.sleep(12)"
"""onnxruntime asks for its host's address nine seconds after its import."""

FONTS = """
<fontconfig><dir>/usr/share/fonts</dir><dir>{fonts}</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
"""
"""A system whose list of fonts is out of date, and not to be written by this user."""

COMMANDS = {
    "caffe": [
        f"classify --engine caffe {PICTURE}",
        *([f"classify --published {PICTURE}"] if ATLAS else []),
        "scan --engine caffe --workers 2 pictures -o results.csv",
    ],
    "onnxruntime": [
        f"classify --engine onnxruntime {PICTURE}",
        "scan --engine onnxruntime --workers 2 pictures -o results.parquet",
        "report results.parquet --html page.html --thumbnails 2",
        "video clip.mp4 --html page.html",
    ],
    "openvino": [
        f"classify --engine openvino {PICTURE}",
        "scan --engine openvino --workers 2 pictures -o results.sqlite",
    ],
    "evaluate": ["evaluate --engine onnxruntime --nsfw pictures --sfw more --html page.html --thumbnails 2"],
    "convert": ["model export model.onnx"],
    "networks": ["networks build vgg16 -o net", "networks compare squeezenet1_1 --measure --rounds 1 --html page.html"],
}

SPARK = """
import os, sys
from pathlib import Path
import pyspark
for entry in Path(pyspark.__file__).parent.iterdir():
    Path("spark", entry.name).symlink_to(entry)
os.environ |= {"SPARK_HOME": os.path.abspath("spark"), "PYSPARK_PYTHON": sys.executable}
from pyspark.sql import SparkSession
from nsfw_caffe.spark import score_images
options = {"spark.ui.enabled": "false", "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"]}
session = SparkSession.builder.master("local-cluster[2,1,1024]").config(map=options).getOrCreate()
pictures = session.read.format("binaryFile").load("pictures")
rows = score_images(pictures, engine="onnxruntime").collect()
session.stop()
assert len(rows) == 2 and all(row.score for row in rows), rows
"""


SERVE = """
import base64, json, subprocess, sys, urllib.error, urllib.request
command = [sys.executable, "-m", "nsfw_caffe", "serve", "--port", "0", "--engine", "onnxruntime", "--workers", "2"]
service = subprocess.Popen([*command, "--allow-url"], stdout=subprocess.PIPE, text=True)
address = service.stdout.readline().split()[-1]

def ask(path, body=None, **headers):
    request = urllib.request.Request(address + path, body, {name.replace("_", "-"): headers[name] for name in headers})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code

try:
    picture = open("pictures/rocket.jpg", "rb").read()
    head = b"--b\\r\\nContent-Disposition: form-data; name=a; filename=secret.jpg\\r\\n\\r\\n"
    form = head + picture + b"\\r\\n--b--\\r\\n"
    text = json.dumps({"base64": base64.b64encode(picture).decode()}).encode()
    assert ask("v1/score", picture) == ask("v1/explain", picture, Accept="image/png") == 200
    assert ask("v1/scores", form, Content_Type="multipart/form-data; boundary=b") == 200
    assert ask("v1/gate?block=0.9", text, Content_Type="application/json") == 200
    assert ask("v1/video", picture) == 422  # as FFmpeg has it
    assert ask("v1/score", picture + bytes(21 << 20)) == 413
    assert ask("") == ask("metrics") == ask("readyz") == 200
    for host in ("127.0.0.2", "[::1]", "[::ffff:127.0.0.2]"):
        assert ask("v1/score", json.dumps({"url": f"http://{host}/"}).encode(), Content_Type="application/json") == 403
finally:
    service.terminate()
    assert service.wait(60) == 0
"""


@dataclass(frozen=True)
class Watched:
    """What commands did.

    Attributes
    ----------
    appeared : set of str
        Files and folders in the home and in the folder for temporary files, by their paths there.
    calls : list of str or None
        The system calls that have to do with the network, as strace writes them; None without strace.
    """

    appeared: set[str]
    calls: list[str] | None

    def traced(self, pattern: str, calls: str = "") -> set[str]:
        """Return what a pattern's group finds in calls that begin with one of these names."""
        if self.calls is None:
            pytest.skip("needs strace, and the right to trace: apt-get install strace")
        chosen = [call for call in self.calls if re.match(rf"\d+ +({calls})", call)]
        return {found for call in chosen for found in re.findall(pattern, call)}


@functools.cache
def can_trace() -> bool:
    return shutil.which("strace") is not None and subprocess.run(["strace", "-o", "/dev/null", "true"]).returncode == 0


def watch(folder: Path, model: ModelFiles, commands: list[list[str]], **variables: str) -> Watched:
    """Run Python with each of these arguments, in a folder with pictures and the model, and with a home in it."""
    for name in ("home", "temporary", "pictures", "more", "model", "spark"):
        (folder / name).mkdir()
    for name in (PICTURE, "pictures/coffee.png", "more/text.png", "more/camera.png"):
        shutil.copy(PHOTOS / Path(name).name, folder / name)
    (folder / "matplotlibrc").write_text(
        "text.usetex: True"
    )  # which would start LaTeX, and is no setting of the user's
    Clip("clip.mp4", "libx264", X264, 2.0).write(folder)
    (folder / "fonts.conf").write_text(FONTS.format(fonts=Path(matplotlib.get_data_path()) / "fonts"))
    for file in (model.prototxt, model.caffemodel):
        (folder / "model" / file.name).symlink_to(file)
    # Not what this process has set since it began, by loading engines.
    environment = {name: value for name, value in os.environ.items() if not re.match("ORT_|XDG_|MPL|GLOG_", name)}
    environment |= {f"XDG_{name.upper()}_HOME": str(folder / "home" / name) for name in ("cache", "config", "data")}
    environment |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary"), "PYTHONPATH": str(REPOSITORY)}
    environment |= {"NSFW_CAFFE_MODEL_DIR": str(folder / "model"), "SPARK_LOCAL_IP": "127.0.0.1"}
    environment |= {"FONTCONFIG_FILE": str(folder / "fonts.conf")}
    trace = folder / "trace"
    tracer = ["strace", "-fqqA", "--seccomp-bpf", "--trace=network", f"--output={trace}"] if can_trace() else []
    for command in commands:
        child = subprocess.run(
            [*tracer, sys.executable, *command],
            cwd=folder,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert child.returncode == 0, child.stderr
    places = (folder / "home", folder / "temporary")
    appeared = {str(path.relative_to(place)) for place in places for path in place.rglob("*")}
    return Watched(appeared, trace.read_text(errors="replace").splitlines() if tracer else None)


@pytest.fixture(scope="module", params=COMMANDS)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Watched:
    """Return what commands that need no network did."""
    commands = [["-m", "nsfw_caffe", *command.split()] for command in COMMANDS[request.param]]
    if request.param == "onnxruntime":
        commands.append(["-c", WAIT, "onnxruntime"])
    return watch(tmp_path_factory.mktemp("watched"), model_files, commands)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Watched:
    """Return what a job on a cluster of this machine did, in the driver and in the executors."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java")
    return watch(tmp_path_factory.mktemp("spark"), model_files, [["-c", SPARK]])


def test_nothing_appears_in_the_home_but_the_own_cache(plain: Watched) -> None:
    assert {path for path in plain.appeared if not path.startswith(OWN_CACHE)} <= {"cache"}


def test_nobody_is_called(plain: Watched) -> None:
    """Caffe's workers have a pair of sockets each, of which nothing leaves the machine."""
    assert plain.traced(r"\b(AF_\w+)") <= {"AF_UNIX"}
    assert plain.traced(r'sun_path=@?"([^"]*)"') <= NAME_SERVICE


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Watched:
    """Return what the service did, and one who asked it, also for pictures on this machine by their URLs."""
    return watch(tmp_path_factory.mktemp("service"), model_files, [["-c", SERVE]])


def test_the_service_leaves_the_home_alone(service: Watched) -> None:
    assert {path for path in service.appeared if not path.startswith(OWN_CACHE)} <= {"cache"}


def test_the_service_calls_nobody(service: Watched) -> None:
    """Whoever asks it connects to it; it connects to nothing, whatever it is asked to fetch."""
    asked = service.traced(r"sin6?_port=htons\((\d+)\)", "bind|getsockname")
    assert len(asked - {"0"}) == 1
    assert service.traced(r"sin6?_port=htons\((\d+)\)", "connect") == asked - {"0"}
    assert service.traced(r'(?:inet_addr\(|AF_INET6, )"([^"]*)"', "connect") == {"127.0.0.1"}


@pytest.mark.slow
def test_spark_leaves_the_home_alone(spark: Watched) -> None:
    assert spark.appeared == set()


@pytest.mark.slow
def test_spark_calls_none_but_this_machine(spark: Watched) -> None:
    calls = "connect|bind|send"
    assert spark.traced(r'(?:inet_addr\(|AF_INET6, )"([^"]*)"', calls) <= LOOPBACK
    assert spark.traced(r"family=(AF_\w+)", calls) <= {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert spark.traced(r'sun_path=@?"([^"]*)"') <= NAME_SERVICE


def test_what_the_user_has_set_stays(model_files: ModelFiles) -> None:  # noqa: ARG001 - fetched first
    code = "import nsfw_caffe, os; nsfw_caffe.Classifier(engine='onnxruntime'); print(os.environ[{name!r}])"
    child = run("-c", code.format(name="ORT_DISABLE_TELEMETRY"), environment={"ORT_DISABLE_TELEMETRY": "true"})
    assert child.stdout == "true\n", child.stderr


def test_the_import_alone_sets_nothing() -> None:
    code = "import os; before = dict(os.environ)\n"
    code += "import nsfw_caffe.cli.main, nsfw_caffe.spark, os; print(before == os.environ)"
    assert run("-c", code).stdout == "True\n"
