"""Vocabularies without weights, with tokens of all kinds: BPE, SentencePiece, WordPiece."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import gguf

CONTROLS: Final = ("<|im_start|>", "<|im_end|>", "<|im", "</s>", "[INST]", "[/INST]", "<<|x|>>")
USER_DEFINED: Final = ("<think>", "</think>", "\n\n", "<table>", "im_end", "<|start|>", "|>>|")
WORDS: Final = ("th", "in", "er", "the", "im", "end", "start", "think", "able", "hello", "st", "ar")


def write(kind: str, path: Path) -> Path:
    """Write a vocabulary of one of the `KINDS`."""
    writer = gguf.GGUFWriter(path, "bert" if kind == "wordpiece" else "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    KINDS[kind](writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(
    writer: gguf.GGUFWriter, normal: Sequence[str], kinds: Sequence[gguf.TokenType] | None = None
) -> None:
    tokens = [*normal, *CONTROLS, *USER_DEFINED]
    types = list(kinds or [gguf.TokenType.NORMAL] * len(normal))
    types += [gguf.TokenType.CONTROL] * len(CONTROLS)
    types += [gguf.TokenType.USER_DEFINED] * len(USER_DEFINED)
    writer.add_vocab_size(len(tokens))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_scores([-float(place) for place in range(len(tokens))])


def _bpe(writer: gguf.GGUFWriter) -> None:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [chr(256 + place) for place in range(256 - len(printable))]
    merges = ["t h", "i n", "e r", "th e", "i m", "s t", "a r", "< |", "| >", "st ar"]
    merged = [merge.replace(" ", "") for merge in merges]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    _add(writer, [*map(chr, printable), *others, *merged])
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)


def _sentencepiece(writer: gguf.GGUFWriter) -> None:
    special = ["<unk>", "<s>", "</seq>"]
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz<|>[/]_"]
    words = [*WORDS, *("▁" + word for word in WORDS), "<|", "|>", "</", "[I"]
    normal = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *words, *letters]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    types += [gguf.TokenType.BYTE] * 256
    types += [gguf.TokenType.NORMAL] * (len(normal) - len(types))
    writer.add_tokenizer_model("llama")
    _add(writer, normal, types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(True)


def _wordpiece(writer: gguf.GGUFWriter) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz<|>[/]_"
    normal = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    types = [gguf.TokenType.CONTROL, gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 3]
    normal += [*("▁" + letter for letter in letters), *letters]
    types += [gguf.TokenType.NORMAL] * (len(normal) - len(types))
    writer.add_tokenizer_model("bert")
    _add(writer, normal, types)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
    writer.add_unk_token_id(1)
    writer.add_sep_token_id(3)
    writer.add_pad_token_id(0)
    writer.add_mask_token_id(4)


KINDS: Final[dict[str, Callable[[gguf.GGUFWriter], None]]] = {
    "bpe": _bpe,
    "sentencepiece": _sentencepiece,
    "wordpiece": _wordpiece,
}
