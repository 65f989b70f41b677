"""Which digit is it? An ordinary loop of PyTorch on two raw files.

`modeltrail.autolog()` sees the data, the loop and the file of the model. What PyTorch does not know is said:
what the run and the model are called, and what the model scored on the test set.
"""

from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

import modeltrail

EPOCHS = 8


class Net(nn.Module):
    """A small convolutional network."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1))
        self.say = nn.Linear(16 * 4 * 4, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Ten scores for each image."""
        found: torch.Tensor = self.say(self.look(images / 16).flatten(1))
        return found


def read(path: str) -> Dataset[tuple[torch.Tensor, ...]]:
    """The images and digits of a file."""
    table = pd.read_csv(path)
    images = torch.tensor(table.drop(columns="digit").to_numpy(), dtype=torch.float32).view(-1, 1, 8, 8)
    return TensorDataset(images, torch.tensor(table["digit"].to_numpy()))


def train(
    model: Net, learned: DataLoader[tuple[torch.Tensor, ...]], judged: DataLoader[tuple[torch.Tensor, ...]]
) -> None:
    """Train, and say how it does after each epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.3)
    for epoch in range(EPOCHS):
        model.train()
        for images, digits in learned:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), digits).backward()
            optimizer.step()
        scheduler.step()
        print(epoch, accuracy(model, judged))


@torch.no_grad()
def accuracy(model: Net, loader: DataLoader[tuple[torch.Tensor, ...]]) -> float:
    """The share of digits that it tells."""
    model.eval()
    right = [(model(images).argmax(1) == digits).float() for images, digits in loader]
    return float(torch.cat(right).mean())


def main() -> None:
    """Train, save, evaluate, register."""
    torch.manual_seed(11)
    with modeltrail.run("train-digits") as run:
        learned, judged = random_split(
            read("raw/train.csv"), [1200, 200], generator=torch.Generator().manual_seed(7)
        )
        model = Net()
        train(model, DataLoader(learned, batch_size=32, shuffle=True), DataLoader(judged, batch_size=200))
        Path("models").mkdir(exist_ok=True)
        torch.save(model.state_dict(), "models/digits.pt")
        test = DataLoader(read("raw/test.csv"), batch_size=200)
        run.evaluate(model, test, {"accuracy": accuracy(model, test)})
        run.register("digits", model=model)


if __name__ == "__main__":
    modeltrail.autolog()
    main()
