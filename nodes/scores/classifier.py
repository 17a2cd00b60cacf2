"""What a classifier reads in a picture: a user's own network, and the score Conf."""

import json

import torch
from comfy_api.latest import io

from ...models.classifier_config import MIN_IMAGE_SIZE
from ...models.densenet import Classifier, load_densenet
from ...mvg.embedded_set import start_note
from ...mvg.metrics.conf import ACTIVATIONS, find_label, label_key
from ...mvg.plan import Plan
from ..support import types
from ..support.model_files import CLASSIFIERS

FROM_FILE = "from file"
FROM_PLAN = "plan"


class LoadClassifier(io.ComfyNode):
    """A DenseNet of the user's own, as the f of Conf = sigmoid(f(x)) (section 5 of the MVG paper)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_LoadClassifier",
            display_name="Load Classifier",
            category="MVG/load",
            description="Loads a DenseNet (121, 169 and so on) of your own with one logit or many: the state dict of "
            "torchvision's, LibAUC's or torchxrayvision's.",
            search_aliases=[
                "densenet",
                "DenseNet121",
                "LibAUC",
                "torchxrayvision",
                "CheXpert",
                "classifier checkpoint",
            ],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=CLASSIFIERS.files(),
                    tooltip="A file of ComfyUI/models/mvg/classifiers. A pickle (.pt, .pth) is read as tensors alone; "
                    "code in it is refused, never run.",
                ),
                io.String.Input(
                    "labels",
                    default="",
                    tooltip="The findings that the logits stand for, in their order, between commas, such as: "
                    "Cardiomegaly, Edema. Empty takes those that the file names.",
                ),
                io.Combo.Input(
                    "activation",
                    options=[FROM_FILE, *ACTIVATIONS],
                    advanced=True,
                    tooltip="sigmoid: every finding for itself. softmax: classes that exclude each other. from file: "
                    "what the file says, else sigmoid.",
                ),
                io.Int.Input(
                    "image_size",
                    default=0,
                    min=0,
                    max=2048,
                    advanced=True,
                    tooltip="Side in pixels to which pictures are resized for the network. 0: what the file says, else "
                    "224.",
                ),
            ],
            outputs=[
                types.Classifier.Output("classifier", tooltip="For Conf."),
                io.String.Output("labels", tooltip="The findings that it reads, one a line, as Conf takes them."),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        return CLASSIFIERS.check(file)

    @classmethod
    def fingerprint_inputs(cls, file: str | None, labels: str, activation: str, image_size: int) -> str:
        return f"{CLASSIFIERS.stamp(file)} {labels} {activation} {image_size}"

    @classmethod
    def execute(cls, file: str, labels: str, activation: str, image_size: int) -> io.NodeOutput:
        if 0 < image_size < MIN_IMAGE_SIZE:
            raise ValueError(f"image_size: got {image_size}, want 0 (that of the file) or at least {MIN_IMAGE_SIZE}")
        classifier = load_densenet(
            CLASSIFIERS.find(file),
            labels=labels,
            activation="" if activation == FROM_FILE else activation,
            image_size=image_size,
        )
        return io.NodeOutput(classifier, "\n".join(classifier.outputs))


class Conf(io.ComfyNode):
    """Conf = sigmoid(f(x)) (section 5 of the MVG paper)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_Conf",
            display_name="Conf",
            category="MVG/metrics",
            description="How sure a classifier is of the finding, in every picture, and how severe it reads it to be "
            "where it was trained for that.",
            search_aliases=["classifier", "confidence", "severity", "score", "densenet"],
            inputs=[
                types.Classifier.Input("classifier", tooltip="From Load Embedded Models or Load Classifier."),
                io.Image.Input("images", tooltip="The stages of a progression, or any pictures."),
                io.String.Input(
                    "finding",
                    default=FROM_PLAN,
                    tooltip="Which of the classifier's findings the score is about, in any case; plan takes that of "
                    "the connected plan.",
                ),
                types.Plan.Input("plan", optional=True, tooltip="Needed where finding is plan."),
            ],
            outputs=[
                io.String.Output(
                    "scores",
                    tooltip="Conf of every picture as JSON, with all other findings, and the severity where the "
                    "classifier reads it.",
                ),
                io.Float.Output("final", tooltip="Conf of the last picture."),
            ],
        )

    @classmethod
    def execute(
        cls, classifier: Classifier, images: torch.Tensor, finding: str, plan: Plan | None = None
    ) -> io.NodeOutput:
        labels = classifier.outputs
        wanted, healthy = finding, False
        if label_key(finding) == FROM_PLAN:
            if plan is None:
                raise ValueError("plan: nothing is connected, want a plan where finding is 'plan'")
            wanted, healthy = plan.finding, not any(stage.severity for stage in plan.stages)
        if healthy and label_key(wanted) not in map(label_key, labels):
            place, name = None, "any finding"
        else:
            place = find_label(wanted, labels)
            name = labels[place]
        values, severity = classifier.read(images)
        of_name = column(values, place)
        scores = {
            "metric": "conf",
            "model": classifier.name,
            "scale": classifier.scale,
            "finding": name,
            "values": of_name,
            "all": {label: column(values, i) for i, label in enumerate(labels)},
        }
        if severity is not None:
            scores["severity"] = {
                "values": column(severity, place),
                "all": {label: column(severity, i) for i, label in enumerate(labels)},
            }
        of_stages = label_key(finding) == FROM_PLAN and not healthy
        if of_stages and (note := start_note(wanted, of_name[0])):
            scores["notes"] = [note]
        return io.NodeOutput(json.dumps(scores), of_name[-1])


def column(values: torch.Tensor, place: int | None) -> list[float]:
    """One finding of values [B, findings], or the highest of all."""
    return [float(v) for v in (values.amax(dim=1) if place is None else values[:, place])]
