"""Pictures and id masks of a scene, drawn off screen with OpenGL through EGL.

Three things make it fast on a CPU: all renderers of a thread share one OpenGL context, so shaders are compiled once;
the liquid's mesh is rewritten in place and only the faces in use are sent; and ids are looked up in a table that is
built once per scene.
"""

import atexit
import threading
import weakref

import mujoco
import numpy as np
from jaxtyping import UInt8

from multigen_core.errors import MissingExtra
from multigen_core.palette import Palette
from multigen_core.simulation.scene import CAMERA
from multigen_core.simulation.surface import EMPTY_MESH, LiquidMesh
from multigen_core.simulation.vessels import LIQUID_GEOM, PITCHER_GEOM, RECEIVER_GEOM, RECEIVER_GROUP

__all__ = ["SceneRenderer", "require_rendering"]

_CLASS_OF = {
    PITCHER_GEOM: Palette.POURER,
    RECEIVER_GEOM: Palette.RECEIVER,
    LIQUID_GEOM: Palette.LIQUID,
}


class SceneRenderer:
    """Draws the view of the scene's camera.

    It rewrites the liquid's mesh in ``model``: one renderer per model. Use it in the thread that made it.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, size_px: int) -> None:
        """``size_px`` is the side of the square images. Raises MissingExtra where there is no EGL."""
        self._model, self._data = model, data
        self._mesh_id = int(model.geom_dataid[model.geom(LIQUID_GEOM).id])
        self._vertex_room = int(model.mesh_vertnum[self._mesh_id])
        self._face_room = int(model.mesh_facenum[self._mesh_id])
        self._place_liquid_in_world()
        self._write(EMPTY_MESH)
        self._shown: LiquidMesh | None = None
        model.vis.global_.offwidth = model.vis.global_.offheight = size_px

        self._window = _current_window()
        self._context: mujoco.MjrContext | None = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        _open_renderers.add(self)
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 16)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(CAMERA).id
        self._rect = mujoco.MjrRect(0, 0, size_px, size_px)
        self._pixels = np.empty((size_px, size_px, 3), np.uint8)
        self._everything = _view(hidden_group=None)
        self._without_receiver = _view(hidden_group=RECEIVER_GROUP)
        self._palettes: dict[int, UInt8[np.ndarray, " ids"]] = {}
        material = int(model.geom_matid[model.geom(RECEIVER_GEOM).id])
        self._opaque = bool(model.mat_rgba[material, 3] >= 1.0)

    def rgb(self, mesh: LiquidMesh | None) -> UInt8[np.ndarray, "H W 3"]:
        """The picture, with the liquid where ``mesh`` says (None: no liquid)."""
        self._show(mesh)
        self._draw(self._everything)
        return np.flipud(self._pixels).copy()

    def masks(self, mesh: LiquidMesh | None) -> tuple[UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "H W"]]:
        """Palette masks (plain, amodal).

        Plain is what the camera can tell: liquid is seen through a clear receiver, not through an opaque one. Amodal
        shows the liquid inside the receiver whatever the receiver is made of. The pitcher hides what it holds in both.
        """
        self._show(mesh)
        opaque = self._ids(self._everything)
        amodal = np.where(self._ids(self._without_receiver) == Palette.LIQUID, np.uint8(Palette.LIQUID), opaque)
        return (opaque if self._opaque else amodal.copy()), amodal

    def close(self) -> None:
        """Frees what the renderer holds on the graphics side; it cannot draw any more."""
        if self._context is not None:
            self._window.make_current()
            self._context.free()
            self._context = None

    def __enter__(self) -> "SceneRenderer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_context", None) is not None:
            self.close()

    def _place_liquid_in_world(self) -> None:
        """Undoes the compiler's move of the mesh to its centre of mass: vertices are world coordinates."""
        geom = self._model.geom(LIQUID_GEOM).id
        self._model.geom_pos[geom] = 0.0
        self._model.geom_quat[geom] = (1.0, 0.0, 0.0, 0.0)
        self._model.geom_sameframe[geom] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
        mujoco.mj_kinematics(self._model, self._data)

    def _show(self, mesh: LiquidMesh | None) -> None:
        """Sends the mesh to the graphics side, unless it is there already."""
        if self._context is None:
            raise RuntimeError("the renderer is closed")
        self._window.make_current()
        # Another renderer of this thread may have drawn since.
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        if mesh is self._shown:
            return
        self._write(mesh or EMPTY_MESH)
        mujoco.mjr_uploadMesh(self._model, self._context, self._mesh_id)
        self._shown = mesh

    def _write(self, mesh: LiquidMesh) -> None:
        vertices, faces = len(mesh.vertices), len(mesh.faces)
        if vertices > self._vertex_room or faces > self._face_room:
            raise ValueError(
                f"liquid mesh has {vertices} vertices and {faces} faces; the scene has room for {self._vertex_room} and"
                f" {self._face_room}"
            )
        model, mesh_id = self._model, self._mesh_id
        vertex, normal, face = (
            model.mesh_vertadr[mesh_id],
            model.mesh_normaladr[mesh_id],
            model.mesh_faceadr[mesh_id],
        )
        model.mesh_vert[vertex : vertex + vertices] = mesh.vertices
        model.mesh_normal[normal : normal + vertices] = mesh.normals
        model.mesh_face[face : face + faces] = mesh.faces
        model.mesh_facenormal[face : face + faces] = mesh.faces
        # Only this many are sent and drawn: cheaper than zeroing the rest.
        model.mesh_facenum[mesh_id] = faces

    def _draw(self, view: mujoco.MjvOption) -> None:
        mujoco.mjv_updateScene(
            self._model, self._data, view, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._rect, self._context)

    def _ids(self, view: mujoco.MjvOption) -> UInt8[np.ndarray, "H W"]:
        """Palette index of whatever is frontmost in each pixel."""
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        self._draw(view)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = False
        channels = self._pixels.astype(np.uint32)
        segments = channels[..., 0] + (channels[..., 1] << 8) + (channels[..., 2] << 16)
        return np.flipud(self._palette(view)[segments])

    def _palette(self, view: mujoco.MjvOption) -> UInt8[np.ndarray, " ids"]:
        """Segment number + 1 -> palette index; the same for all pictures of one view."""
        key = id(view)
        if key not in self._palettes:
            palette = np.zeros(self._scene.ngeom + 1, np.uint8)
            for geom in self._scene.geoms[: self._scene.ngeom]:
                if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.segid >= 0:
                    name, _, _ = self._model.geom(geom.objid).name.partition("/")
                    palette[geom.segid + 1] = _CLASS_OF.get(name, Palette.BACKGROUND)
            self._palettes[key] = palette
        return self._palettes[key]


def require_rendering() -> None:
    """Raises MissingExtra, with what to install, where nothing can be drawn; costs some milliseconds otherwise."""
    _current_window()


class _Window:
    """An OpenGL context without a window."""

    def __init__(self) -> None:
        try:
            from mujoco.egl import GLContext

            self._context = GLContext(1, 1)
        except Exception as error:  # PyOpenGL raises whatever the missing library led to
            raise MissingExtra(
                "rendering needs EGL and this machine has none that works: install Debian's libegl1 and"
                " libgl1-mesa-dri (apt-get install libegl1 libgl1-mesa-dri)"
            ) from error

    def make_current(self) -> None:
        self._context.make_current()

    def free(self) -> None:
        self._context.free()


_windows = threading.local()
_open_windows: list[_Window] = []
_open_renderers: "weakref.WeakSet[SceneRenderer]" = weakref.WeakSet()


def _current_window() -> _Window:
    """This thread's context, made current."""
    window: _Window | None = getattr(_windows, "window", None)
    if window is None:
        window = _windows.window = _Window()
        if not _open_windows:
            # Registered after MuJoCo's own exit handler, so run before it: that one closes the display under us.
            atexit.register(_close_all)
        _open_windows.append(window)
    window.make_current()
    return window


def _close_all() -> None:
    for renderer in list(_open_renderers):
        renderer.close()
    for window in _open_windows:
        window.free()


def _view(*, hidden_group: int | None) -> mujoco.MjvOption:
    option = mujoco.MjvOption()
    option.geomgroup[:] = 1
    option.sitegroup[:] = 0
    if hidden_group is not None:
        option.geomgroup[hidden_group] = 0
    return option
