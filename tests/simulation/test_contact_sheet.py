import numpy as np

from multigen_core.simulation.contact_sheet import contact_sheet
from multigen_core.simulation.randomisation import REFERENCE_RANGES


def test_scenes_stand_in_rows_and_the_rest_is_white():
    sheet = contact_sheet(3, ranges=REFERENCE_RANGES, size_px=32, columns=2)
    assert sheet.shape == (64, 64, 3)
    cells = [sheet[:32, :32], sheet[:32, 32:], sheet[32:, :32]]
    assert all(cell.std() > 5.0 for cell in cells)
    assert not np.array_equal(cells[0], cells[1])
    assert np.all(sheet[32:, 32:] == 255)
