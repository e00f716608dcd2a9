"""Filters that carry their state from one block of sound to the next."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, firwin2, freqz, lfilter

from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["BandBank", "BlockConvolver", "ResonatorBank", "tilted_noise_response"]

_HIGHEST_HZ = 7600.0
_FADE_FROM_HZ = 6800.0


class BandBank:
    """Parallel band passes of second order."""

    def __init__(self, edges_hz: Float[np.ndarray, " edges"]) -> None:
        self._filters = [butter(1, band, "bandpass", fs=SAMPLE_RATE_HZ) for band in pairwise(edges_hz)]
        self._states = [np.zeros(2) for _ in self._filters]

    def split(self, block: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "bands samples"]:
        """The block, band by band."""
        rows = np.empty((len(self._filters), len(block)))
        for index, (above, below) in enumerate(self._filters):
            rows[index], self._states[index] = lfilter(above, below, block, zi=self._states[index])
        return rows

    def white_noise_power(self, gains: Float[np.ndarray, " bands"]) -> float:
        """Power of the weighted sum of bands for white noise of power 1."""
        responses = [freqz(above, below, worN=1024)[1] for above, below in self._filters]
        return float(np.mean(np.abs(gains @ np.stack(responses)) ** 2))


class ResonatorBank:
    """Parallel resonators whose frequencies move: each has gain 1 at its frequency (RBJ band pass)."""

    def __init__(self, q: Float[np.ndarray, " count"]) -> None:
        self._q = q
        self._states = np.zeros((len(q), 2))

    def filter(
        self,
        block: Float[np.ndarray, " samples"],
        *,
        frequency_hz: Float[np.ndarray, "segments count"],
        gain: Float[np.ndarray, " count"],
    ) -> Float[np.ndarray, " samples"]:
        """Weighted sum of the resonators' answers; the block is cut into equal segments of constant frequency.

        A resonance above 6.8 kHz fades out and is silent from 7.6 kHz.
        """
        fade = np.clip((_HIGHEST_HZ - frequency_hz) / (_HIGHEST_HZ - _FADE_FROM_HZ), 0.0, 1.0)
        omega = 2.0 * np.pi * np.minimum(frequency_hz, _HIGHEST_HZ) / SAMPLE_RATE_HZ
        alpha = np.sin(omega) / (2.0 * self._q)
        weights = gain * fade * alpha / (1.0 + alpha)  # (segments, count)
        first, second = -2.0 * np.cos(omega) / (1.0 + alpha), (1.0 - alpha) / (1.0 + alpha)
        out = np.zeros_like(block)
        bounds = np.linspace(0, len(block), len(frequency_hz) + 1).astype(int)
        for row, (start, stop) in enumerate(pairwise(bounds)):
            for k in range(len(self._q)):
                weight = weights[row, k]
                part, self._states[k] = lfilter(
                    (weight, 0.0, -weight),
                    (1.0, first[row, k], second[row, k]),
                    block[start:stop],
                    zi=self._states[k],
                )
                out[start:stop] += part
        return out


class BlockConvolver:
    """Convolution with a fixed response, by overlap-add."""

    def __init__(self, response: Float[np.ndarray, " taps"], block_samples: int) -> None:
        self._length = next_fast_len(block_samples + len(response) - 1, real=True)
        self._spectrum = rfft(response, self._length)
        self._tail = np.zeros(self._length - block_samples)

    def filter(self, block: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
        whole = irfft(rfft(block, self._length) * self._spectrum, self._length)
        whole[: len(self._tail)] += self._tail
        self._tail = whole[len(block) :]
        return whole[: len(block)]


def tilted_noise_response(tilt_db_per_octave: float, *, taps: int = 511) -> Float[np.ndarray, " taps"]:
    """Filter that turns white noise into noise of power 1 that falls by ``tilt_db_per_octave`` above 80 Hz."""
    hz = np.concatenate(([0.0, 40.0], np.geomspace(80.0, SAMPLE_RATE_HZ / 2, 60)))
    gain = (np.maximum(hz, 80.0) / 80.0) ** (tilt_db_per_octave / (20.0 * np.log10(2.0)))
    gain[0] = 0.0
    response = firwin2(taps, hz, gain, fs=SAMPLE_RATE_HZ)
    return response / np.sqrt(np.sum(response**2))
