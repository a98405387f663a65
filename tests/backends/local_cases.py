"""Small networks whose connections have a patch of their own for every neuron."""

from __future__ import annotations

from typing import Any

from tests.backends.nets import join, linear, noise, plastic, weights

HALF = {"nxScale": 0.5, "nyScale": 0.5}
MARGINS: dict[str, dict[str, Any]] = {
    "zero": {},
    "mirror": {"mirrorBCflag": True},
    "value": {"valueBC": 0.7},
}
#: Patch and sizes of the pre and post layers.
FORMS: dict[str, tuple[int, int, dict[str, Any], dict[str, Any]]] = {
    "one to one": (5, 3, {}, {}),
    "one to many": (6, 4, HALF, {}),
    "many to one": (2, 3, {}, HALF),
}
OWN = {"sharedWeights": False}
LOCAL_CASES: dict[str, tuple[str, ...]] = {}

for form, (nxp, nyp, pre, post) in FORMS.items():
    for name, margin in MARGINS.items():
        LOCAL_CASES[f"own patches, {form}, {name} margin, both ways"] = (
            noise("In", **pre, **margin), linear("Out", nf=2, **post),
            noise("Up", nf=2, **post, **margin), linear("Back", **pre),
            noise("In2", **pre, **margin), weights("InToOut", nxp, nyp, **OWN),
            join("TransposeConn", "UpToBack", originalConnName="InToOut"),
            join("CloneConn", "Again", 1, preLayerName="In2", postLayerName="Out",
                 originalConnName="InToOut"),
        )  # fmt: skip
        LOCAL_CASES[f"own patches that learn, {form}, {name} margin"] = (
            noise("In", **pre, **margin), noise("Up", nf=2, **post),
            linear("Out", nf=2, **post), join("IdentConn", "UpToOut"),
            noise("In2", **pre), linear("Out2", nf=2, **post),
            plastic("InToOut", nxp, nyp=nyp, normalizeMethod="normalizeL2", numAxonalArbors=2,
                    **OWN),
            join("PlasticCloneConn", "In2ToOut2", originalConnName="InToOut"),
            join("FeedbackConn", "Back", 1, originalConnName="InToOut"),
            join("CopyConn", "Copy", 1, preLayerName="In", postLayerName="Out2",
                 originalConnName="InToOut", normalizeMethod="normalizeMax"),
        )  # fmt: skip
LOCAL_CASES["own patches that learn with momentum, later"] = (
    noise("In"), noise("Up", nf=2), linear("Out", nf=2), join("IdentConn", "UpToOut"),
    plastic("InToOut", 3, kind="MomentumConn", momentumMethod="simple", timeConstantTau=0.4,
            immediateWeightUpdate=False, weightUpdatePeriod=2, **OWN),
)  # fmt: skip
