"""The frozen part of a model, computed once for each utterance and read from disk ever after.

Each modality has a store of its own, named by all that decides what its prefix computes. Runs whose fusion, head, folds
or seeds differ, or that look at one modality more or less, share what they have in common.
"""

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from datasets import config as datasets_config
from tqdm.auto import tqdm
from transformers import BatchFeature, PreTrainedModel, ProcessorMixin, TrainerCallback
from transformers.utils import logging

from ..modeling.modeling_emofusion import MAIN_INPUTS, EmoFusionModel
from .arguments import EmotionTrainingArguments
from .collator import EmotionCollator
from .prefix_keys import FileContents, describe_prefix, digest_of, ids_key, media_key
from .prefix_store import PrefixStore
from .sampler import seconds_of

logger = logging.get_logger(__name__)

