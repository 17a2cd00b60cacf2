"""The two socket types that the host has no equivalent of."""

from comfy_api.latest import io

Plan = io.Custom("MVG_PLAN")  # mvg.plan.Plan
Classifier = io.Custom("MVG_CLASSIFIER")  # models.densenet.Classifier
