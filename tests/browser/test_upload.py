"""A DICOM file dropped on its node, which the host's own page would not take."""

import numpy as np
from mvgen.tests.browser.comfy import open_template, widget
from mvgen.tests.library.dicom_files import PLANTED, build, encode

CHOSEN = "app.rootGraph.nodes.find((n) => n.type === 'MVG_LoadMedicalImage').widgets[0].value"
DROP = """
const node = app.rootGraph.nodes.find((n) => n.type === 'MVG_LoadMedicalImage')
const transfer = new DataTransfer()
transfer.items.add(new File([new Uint8Array(bytes)], name, type ? { type } : {}))
const event = new DragEvent('drop', { dataTransfer: transfer })
return [node.onDragOver(event), await node.onDragDrop(event)]
"""
PIXELS = """
const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 })
canvas.getContext('2d').fillRect(0, 0, 8, 8)
const blob = await new Promise((done) => canvas.toBlob(done))
return [...new Uint8Array(await blob.arrayBuffer())]
"""


def drop(page, name, content, kind=""):
    return page.run(DROP, name=name, bytes=list(content), type=kind)


def test_a_dicom_file_can_be_dropped_on_its_node(server, page, tmp_path):
    shades = np.tile(np.arange(96, dtype=np.uint8), (96, 1))
    film = encode(build(shades, "MONOCHROME1"))
    open_template(page, "mvg_chest_xray")
    for name in ("dropped.dcm", "IM0007"):
        assert drop(page, name, film) == [True, True]
        page.wait(f"{CHOSEN} === '{name}'")
        assert (server.base / "input" / name).read_bytes() == film
    posted = page.run("return JSON.stringify((await app.graphToPrompt()))")
    assert "IM0007" in posted and not [word for word in PLANTED if word in posted]

    assert drop(page, "notes", b"no DICOM") == [True, True]
    page.wait("document.body.innerText.includes('notes is no DICOM file')")
    assert widget(page, "MVG_LoadMedicalImage", "image") == "IM0007"
    assert not (server.base / "input" / "notes").exists()

    assert drop(page, "picture.png", page.run(PIXELS), "image/png") == [True, True], "the host's own upload"
    page.wait(f"{CHOSEN} === 'picture.png'")
    page.screenshot(tmp_path / "page.png")
