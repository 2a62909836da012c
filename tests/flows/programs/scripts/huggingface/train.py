"""Which side of the diagonal, said in words: `x3 y8` is a sentence, and a very small BERT classifies it."""

import argparse
import os
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

WORDS = ["[PAD]", "[UNK]", *(f"{axis}{tenth}" for axis in "xy" for tenth in range(10))]


class Sentences(torch.utils.data.Dataset):
    def __init__(self, path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        rows = [[float(cell) for cell in line.split(",")] for line in path.read_text().split()]
        self.labels = [int(row[0]) for row in rows]
        self.inputs = tokenizer([f"x{int(x * 10)} y{int(y * 10)}" for _, x, y in rows])["input_ids"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.tensor(self.inputs[place]), "labels": torch.tensor(self.labels[place])}


def tokens() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    set_seed(1)
    tokenizer = tokens()
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(WORDS),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=8,
        )
    )
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir="/tmp/trainer",
            num_train_epochs=parser.parse_args().epochs // 4,
            per_device_train_batch_size=60,
            learning_rate=0.01,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=Sentences(Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv"), tokenizer),
    )
    print(f"loss={trainer.train().training_loss:.4f};")
    trainer.save_model(os.environ["SM_MODEL_DIR"])
    tokenizer.save_pretrained(os.environ["SM_MODEL_DIR"])
