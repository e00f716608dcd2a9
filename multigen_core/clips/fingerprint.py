"""Hears whether two clips are the same recording, whatever was done to loudness, coding or the cut.

One word of 24 bits every 16 ms, after Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002):
bit m of frame n says whether ``E(n, m) - E(n, m + 1)`` grew since frame n - 1, with E the log energy of a band. Two
recordings agree in half of their bits, two copies of one in nearly all. The same sound always gives the same words.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt32
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft

from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["WORD_BITS", "HeardClips", "Match", "fingerprint", "likeness"]

WORD_BITS = 24
_N_FFT, _HOP = 4096, 256
_EDGES_HZ = np.geomspace(300.0, 6000.0, WORD_BITS + 2)
_LEAST_OVERLAP = round(1.5 * SAMPLE_RATE_HZ / _HOP)
"""Words that two clips must share in time before their likeness means anything."""
_LEAST_HITS = 2
"""Equal words at one lag that make a pair worth comparing: one alone is mostly chance."""


def fingerprint(waveform: Float[np.ndarray, " samples"]) -> UInt32[np.ndarray, " words"]:
    """The words of mono sound at 16 kHz, every 16 ms; none for less than 0.3 s. Silence gives zeros."""
    if len(waveform) < _N_FFT + _HOP:
        return np.zeros(0, np.uint32)
    frames = sliding_window_view(np.asarray(waveform, np.float32), _N_FFT)[::_HOP]
    power = np.abs(rfft(frames * np.hanning(_N_FFT).astype(np.float32))) ** 2
    bins = np.round(_EDGES_HZ * _N_FFT / SAMPLE_RATE_HZ).astype(int)
    bands = np.add.reduceat(power, bins, axis=1)[:, : WORD_BITS + 1]  # (frames, bands)
    # The floor lies below the noise of 16 bits: digital silence has no bits of its own.
    slope = np.diff(np.log10(bands + 1e-6), axis=1)
    grew = np.diff(slope, axis=0) < -1e-7  # (words, bits)
    return (grew @ (1 << np.arange(WORD_BITS, dtype=np.uint32))).astype(np.uint32)


def likeness(one: UInt32[np.ndarray, " a"], other: UInt32[np.ndarray, " b"], lag: int = 0) -> float:
    """Share of equal bits when word k of ``one`` lies beside word ``k + lag`` of ``other``.

    0.5 by chance, 1 for copies; 0 when too little overlaps, or when most of the overlap is silence.
    """
    start, stop = max(0, -lag), min(len(one), len(other) - lag)
    if stop - start < _LEAST_OVERLAP:
        return 0.0
    mine, theirs = one[start:stop], other[start + lag : stop + lag]
    sounding = (mine != 0) | (theirs != 0)
    if np.count_nonzero(sounding) < _LEAST_OVERLAP:
        return 0.0
    differing = np.bitwise_count(mine[sounding] ^ theirs[sounding]).sum()
    return 1.0 - float(differing) / (WORD_BITS * int(np.count_nonzero(sounding)))


@dataclass(frozen=True)
class Match:
    """The clip that is most alike."""

    number: int
    """In the order in which clips were added."""
    likeness: float


class HeardClips:
    """Clips heard so far, found again by the words they share: asking takes as long as there is that is alike."""

    def __init__(self) -> None:
        self._clips: list[UInt32[np.ndarray, " words"]] = []
        self._places: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        """Word -> (clip, place in it)."""

    def add(self, words: UInt32[np.ndarray, " words"]) -> None:
        number = len(self._clips)
        self._clips.append(words)
        for place, word in enumerate(words.tolist()):
            if word:
                self._places[word].append((number, place))

    def most_alike(self, words: UInt32[np.ndarray, " words"]) -> Match | None:
        """None when no clip shares enough words to be compared."""
        hits = Counter(
            (number, place - k) for k, word in enumerate(words.tolist()) for number, place in self._places.get(word, ())
        )
        compared = [
            Match(number, likeness(words, self._clips[number], lag))
            for (number, lag), count in sorted(hits.items())
            if count >= _LEAST_HITS
        ]
        return max(compared, key=lambda match: match.likeness, default=None)
