"""Losses and what goes with them: SoftmaxWithLossLayer, AccuracyLayer and the others' Reshape."""

from __future__ import annotations

import math

from nsfw_caffe.model.shapes.base import Made, Rule, ShapedLayer, listed

# Caffe names a loss's top where there is none. A second one aborts: the layer inside has one top, and as many weights.
_LOSS = (0, 1)


def _same_first(layer: ShapedLayer) -> None:
    """LossLayer::Reshape."""
    layer.require(
        layer.bottoms[0][:1] == layer.bottoms[1][:1] != (), f"the inputs differ in their first axis: {listed(layer)}"
    )


def _one_label_each(layer: ShapedLayer, axis: int) -> int:
    """Refuse labels that are not one for each place along all axes but one; give that axis."""
    axis = layer.bottom_axis(axis)
    places = math.prod(layer.bottom[:axis]) * math.prod(layer.bottom[axis + 1 :])
    labels = math.prod(layer.bottoms[1])
    layer.require(places == labels, f"{labels} labels for {places} places: {listed(layer)}")
    return axis


def _label_loss(layer: ShapedLayer) -> Made:
    _same_first(layer)
    infogain = layer.parameter.type == "InfogainLoss"
    parameter = layer.parameter
    _one_label_each(layer, parameter.infogain_loss_param.axis if infogain else parameter.softmax_param.axis)
    return Made([()])


def _accuracy(layer: ShapedLayer) -> Made:
    """AccuracyLayer: with a second top, the accuracy of each class."""
    options = layer.parameter.accuracy_param
    axis = _one_label_each(layer, options.axis)
    classes = layer.bottom[axis]
    layer.require(options.top_k <= classes, f"top_k {options.top_k} of {classes} classes")
    return Made([(), (classes,)][: len(layer.parameter.top)])


def _same_count_loss(layer: ShapedLayer) -> Made:
    _same_first(layer)
    start = 1 if layer.parameter.type == "EuclideanLoss" else 0
    counts = {math.prod(shape[start:]) for shape in layer.bottoms}
    layer.require(len(counts) == 1, f"the inputs differ in size: {listed(layer)}")
    return Made([()])


def _row_loss(layer: ShapedLayer) -> Made:
    _same_first(layer)
    if layer.parameter.type == "MultinomialLogisticLoss":
        layer.require(math.prod(layer.bottoms[1][1:]) == 1, f"one label a row: {listed(layer)}")
    return Made([()])


def _contrastive_loss(layer: ShapedLayer) -> Made:
    first, second, third = layer.bottoms
    layer.require(first[1:2] == second[1:2], f"the inputs differ in their channels: {listed(layer)}")
    layer.require(
        all(math.prod(shape[2:]) == 1 for shape in (first, second)) and math.prod(third[1:]) == 1,
        f"the inputs have to be one by one pixel: {listed(layer)}",
    )
    return Made([()])


RULES = {
    "Accuracy": Rule(_accuracy, (2, 2), (1, 2)),
    "ContrastiveLoss": Rule(_contrastive_loss, (3, 3), _LOSS),
    "EuclideanLoss": Rule(_same_count_loss, (2, 2), _LOSS),
    "HingeLoss": Rule(_row_loss, (2, 2), _LOSS),
    "InfogainLoss": Rule(_label_loss, (2, 3), _LOSS),
    "MultinomialLogisticLoss": Rule(_row_loss, (2, 2), _LOSS),
    "SigmoidCrossEntropyLoss": Rule(_same_count_loss, (2, 2), _LOSS),
    "SoftmaxWithLoss": Rule(_label_loss, (2, 2), _LOSS),
}
