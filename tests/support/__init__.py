"""What tests share: a fake clock, builders of plain values, fakes of our protocols."""
