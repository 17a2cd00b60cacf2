"""The files of the page's workflows: the page shows a file's name as its title. First those that need nothing else."""

from pathlib import Path

FOLDER = Path(__file__).parent

TITLES = {
    "mvg_start_chest_xray": "01 Chest X-ray, from report to film",
    "mvg_start_fundus": "02 Fundus photograph, from report to film",
    "mvg_start_skin": "03 Skin lesion, from report to film",
    "mvg_chest_xray": "04 Chest X-ray, every node",
    "mvg_fundus": "05 Fundus photograph, every node",
    "mvg_skin": "06 Skin lesion, every node",
    "mvg_dicom": "07 DICOM in, DICOM out",
    "mvg_severity": "08 Severity as a number",
    "mvg_stage_by_stage": "09 Stage by stage, with painted regions",
    "mvg_compare_baselines": "10 PIE beside the two baselines",
    "mvg_longitudinal": "11 Against a real later image",
    "mvg_cohort_kid": "12 A folder of patients, scored by KID",
    "mvg_sd14_seine": "21 Needs files, Stable Diffusion 1.4 and SEINE",
    "mvg_sd3": "22 Needs files, Stable Diffusion 3 and SEINE",
    "mvg_diffusers_finetune": "23 Needs files, a fine-tune in diffusers layout",
    "mvg_medsam": "24 Needs files, the region by MedSAM",
    "mvg_llm_recaption": "25 Needs a server, the plan by a language model",
    "mvg_llm_local": "26 Needs files, the plan by a local language model",
    "mvg_transition_wan": "27 Needs files, the film by Wan",
    "mvg_transition_interpolation": "28 Needs files, the film by interpolation",
    "mvg_compare_image_to_video": "29 Needs files, image-to-video models scored",
    "mvg_compare_pixverse": "30 Needs an account, PixVerse scored",
}
"""Name of the twin in workflows/api -> name of the page's file; no sign in it that a file system refuses."""


def page_file(name: str, suffix: str = ".json") -> Path:
    """The page's workflow, or with .jpg its thumbnail, of the API twin ``name``."""
    return FOLDER / f"{TITLES[name]}{suffix}"
