"""The model card of a training: what a model is, from what and how it was made, and what it is worth, as Markdown."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from nsfw_caffe.report.training import (
    GAINS,
    MEASURES,
    Training,
    about_classes,
    about_intervals,
    about_measures,
    calibration,
    gain_rows,
    measure_rows,
    warnings,
)
from nsfw_caffe.results.names import visible

_MARKUP = re.compile(r"[\\`*_\[\]<>&|~#!$@=]|(?<=www)\.|:(?=//)", re.IGNORECASE)
"""What might be markup within a line, and what makes a link of a mere address."""


def model_card(training: Training) -> bytes:
    """Write the model card, in UTF-8: no name in it is anything but text."""
    name = visible(training.name)
    classes = ", ".join(map(escape, training.classes))
    counts = [(each, f"{training.trained_on[each]:,}", f"{training.held_out[each]:,}") for each in training.classes]
    card = f"""# {escape(training.name)}: model card

A convolutional network that gives a picture the probability of each of these classes: {classes}. The score
is that of {escape(training.score_class)}. It was made by `nsfw-caffe train`; the last table says from what.

## How to use it

```sh
nsfw-caffe classify --model {shlex.quote(name)} photo.jpg
nsfw-caffe scan --model {shlex.quote(name)} photos/ -o scores.csv
```

```python
from nsfw_caffe import Classifier

with Classifier(model={json.dumps(name, ensure_ascii=False)}) as classifier:
    score = classifier.classify("photo.jpg")
```

`--class`, or `score_class` in Python, names another class for the score to be of.

{calibration(training)}

## Pictures

{_table(["class", "#trained on", "#held out"], counts)}

Left out: {len(training.failures):,} that could not be read, {training.repeats:,} with the content of another one,
{training.too_near:,} that look like one held out.

## How good it is

{_table(MEASURES, measure_rows(training))}

{escape(about_measures(training))}

{about_classes(training)}

{about_intervals(training)}
"""
    gains = gain_rows(training)
    if gains:
        card += f"\n{_table(GAINS, gains)}\n"
    card += "".join(f"\n{escape(warning)}\n" for warning in warnings(training))
    card += f"""
## What it is not

- The classes are what the labels say, which a user gave; nobody else has checked them.
- The figures hold for pictures like those held out. It was measured on nothing else.
- Every picture gets a score, one of no class too. It does not say where in a picture, or why.
- It says nothing about age or consent, and is no detector of unlawful material.

## What it was made from, and how

{_table(["what", "value"], training.settings)}
"""
    return card.encode()


def escape(text: str) -> str:
    """Make of a text what Markdown shows as that text, within a line or a cell."""
    return _MARKUP.sub(r"\\\g<0>", visible(text))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = [name.removeprefix("#") for name in header]
    marks = ["---:" if name.startswith("#") else "---" for name in header]
    lines = [names, marks, *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
