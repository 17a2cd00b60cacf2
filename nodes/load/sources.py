"""What a run starts from: the embedded networks, a medical image and a report."""

from comfy_api.latest import io, ui

from ...models.embedded import loader
from ...models.embedded.architecture import DOMAINS
from ...mvg.embedded_set import IMAGE_SIZE
from ...mvg.picture_fit import fit_spacing, fit_square
from ...mvg.picture_header import MIN_SIDE, check_picture
from ...mvg.report_file import read_report_file
from ..support import input_files as files
from ..support.spacing import to_text
from ..support.types import Classifier


class LoadEmbedded(io.ComfyNode):
    """The small networks that come with this extension; for demonstration only, never for patients."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_LoadEmbedded",
            display_name="Load Embedded Models",
            category="MVG/load",
            description="Loads the small networks that come with MVG, trained on few real images and drawn courses, "
            "for demonstration and tests, never for patients. Any other checkpoint can take their place.",
            search_aliases=["checkpoint", "demo model", "phantom model", "chest x-ray model"],
            inputs=[
                io.Combo.Input(
                    "domain", options=list(DOMAINS), tooltip="Which kind of image the networks are made for."
                ),
            ],
            outputs=[
                io.Model.Output(
                    "model",
                    tooltip=f"Text-conditional diffusion model at {IMAGE_SIZE} x {IMAGE_SIZE}, for any sampler.",
                ),
                io.Clip.Output("clip", tooltip="Text encoder for prompts such as 'frontal chest x-ray, severe edema'."),
                io.Vae.Output("vae", tooltip="Autoencoder between pixels and the model's 8-channel latents."),
                io.ClipVision.Output("clip_vision", display_name="clip vision", tooltip="Image encoder, for CLIP-I."),
                Classifier.Output("classifier", tooltip="Reads findings from an image, for the score Conf."),
                io.Model.Output("transition", tooltip="SEINE at a small size, for SEINE Transition."),
                io.String.Output(
                    "model_findings",
                    display_name="model findings",
                    tooltip="What the model can draw, for Recaption Report: its plan is then about one of these.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, domain: str) -> str:
        return " ".join(f"{path} {path.stat().st_mtime_ns}" for path in loader.weight_files(domain).values())

    @classmethod
    def execute(cls, domain: str) -> io.NodeOutput:
        return io.NodeOutput(*loader.load(domain), ", ".join(loader.drawn_findings(domain)))


class LoadMedicalImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_LoadMedicalImage",
            display_name="Load Medical Image",
            category="MVG/load",
            description="Loads a PNG, JPEG, TIFF or DICOM file at its full bit depth (gray, 16-bit and transparent "
            "files too) and makes it the square that the model wants. What a DICOM file says of its patient stays in "
            "it.",
            search_aliases=["x-ray", "radiograph", "load image", "medical image", "16-bit", "dicom", "dcm"],
            inputs=[
                io.Combo.Input(
                    "image",
                    options=files.input_images(),
                    upload=io.UploadType.image,
                    image_folder=io.FolderType.input,
                    tooltip="A PNG, JPEG, TIFF or DICOM file of ComfyUI's input folder, or an upload. Its name is "
                    "stored in the workflow: let it not be the patient's.",
                ),
                io.Int.Input(
                    "size",
                    default=IMAGE_SIZE,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip=f"Side of the square result in pixels: {IMAGE_SIZE} for the embedded model, 512 for Stable "
                    "Diffusion 1.x. 0 keeps the file's own size.",
                ),
                io.Combo.Input(
                    "fit",
                    options=["crop", "pad", "stretch"],
                    tooltip="How an image that is not square becomes square: cut out the centre, pad with black, or "
                    "stretch (which changes the anatomy's proportions).",
                ),
                io.Boolean.Input(
                    "gray",
                    default=False,
                    optional=True,
                    tooltip="Refuse a picture in colour: on for models of gray images, such as chest X-rays.",
                ),
            ],
            outputs=[
                io.Image.Output("image", tooltip="The image, three equal channels where the file is gray."),
                io.String.Output("notes", tooltip="What the file held and what was done to it."),
                io.String.Output(
                    "spacing",
                    tooltip="Distance of the image's pixels, from row to row and from column to column, in mm; empty "
                    "where the file does not say.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, image: str | None = None, gray: bool | None = False) -> bool | str:
        if image is None:  # comes over a link, unknown yet
            return True
        try:
            check_picture(files.find_input(image, "image"), gray=bool(gray), name=image)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, image: str | None, **_: object) -> str:
        return "" if image is None else files.fingerprint(files.find_input(image, "image"))

    @classmethod
    def execute(cls, image: str, size: int, fit: str, gray: bool = False) -> io.NodeOutput:
        if 0 < size < MIN_SIDE:
            raise ValueError(f"size: got {size}, want 0 (keep) or at least {MIN_SIDE}")
        loaded = files.load_image(files.find_input(image, "image"), image, gray)
        pixels, done = fit_square(loaded.image, size, fit)
        spacing = ""
        if loaded.spacing is not None:
            height, width = loaded.image.shape[1:3]
            spacing = to_text(fit_spacing(loaded.spacing, height, width, size, fit))
        # the page shows a picture's file by itself, a DICOM file it cannot
        shown = ui.PreviewImage(pixels) if loaded.dicom else None
        return io.NodeOutput(pixels, f"{loaded.notes}; {done}", spacing, ui=shown)


class LoadReport(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_LoadReport",
            display_name="Load Report",
            category="MVG/load",
            description="Reads a clinical report from a text file, so that its words stay out of the workflow and of "
            "every file that is saved with it.",
            search_aliases=["clinical note", "radiology report", "text file"],
            inputs=[
                io.Combo.Input(
                    "report",
                    options=files.input_files((".txt",)),
                    tooltip="A .txt file of ComfyUI's input folder. Only its name is stored in the workflow.",
                ),
            ],
            outputs=[io.String.Output("report", tooltip="The text of the report.")],
        )

    @classmethod
    def validate_inputs(cls, report: str | None = None) -> bool | str:
        if report is None:  # comes over a link, unknown yet
            return True
        try:
            cls.read(report)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, report: str | None) -> str:
        return "" if report is None else files.fingerprint(files.find_input(report, "report"))

    @classmethod
    def execute(cls, report: str) -> io.NodeOutput:
        return io.NodeOutput(cls.read(report))

    @staticmethod
    def read(report: str) -> str:
        if not report.lower().endswith(".txt"):
            raise ValueError(f"report: got {report!r}, want a .txt file of ComfyUI's input folder")
        return read_report_file(files.find_input(report, "report"), report)
