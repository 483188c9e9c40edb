from __future__ import annotations

from nsfw_caffe.system.extras import install_hint
from tests.support import run


def test_a_missing_library_is_named() -> None:
    child = run(
        "-c",
        "import sys\n"
        "sys.modules.update({'sklearn.metrics': None, 'scipy.special': None})\n"
        "import nsfw_caffe.evaluate as ev\n"
        "from nsfw_caffe.errors import NsfwCaffeError\n"
        "print(ev.confusion([1, 0], [0.9, 0.1], threshold=0.5).accuracy)\n"
        "for use in (lambda: ev.roc([1, 0], [0.9, 0.1]), lambda: ev.fpr_at_fnr([1, 0], [0.9, 0.1], fnr=0.5)):\n"
        "    try: use()\n"
        "    except NsfwCaffeError as error: print(error)\n",
    )
    message = f"evaluation needs scikit-learn: {install_hint('evaluate')}"
    assert child.stdout.splitlines() == ["1.0", message, message], child.stderr


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    child = run(
        "-c",
        "import sys, nsfw_caffe.evaluate\n"
        "print(sorted({'sklearn', 'scipy', 'matplotlib', 'pandas'} & set(sys.modules)))",
    )
    assert child.stdout.strip() == "[]", child.stderr
