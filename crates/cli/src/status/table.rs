//! Tables of text that fit the width at hand.

use anstyle::Style;

use crate::output::{DIM, styled};

/// A table that is filled row by row.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
struct Column {
    title: &'static str,
    right: bool,
    /// Columns with low numbers go first when there is no room; those with 0 stay.
    sacrifice: u8,
    shrinks: bool,
}

/// A piece of text, and how it stands out.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn new(text: impl std::fmt::Display) -> Self {
        Self::in_style(Style::new(), text)
    }

    /// Text of a peer keeps its letters, but not what would steer a terminal.
    pub(super) fn in_style(style: Style, text: impl std::fmt::Display) -> Self {
        let text = text.to_string();
        let text = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
        Self {
            text: text.collect(),
            style,
        }
    }
}

impl Table {
    /// Adds a column that is never left out; its texts may be cut.
    pub(super) fn text(self, title: &'static str) -> Self {
        self.column(title, false, 0, true)
    }

    /// Adds a column that is never left out and never cut.
    pub(super) fn word(self, title: &'static str) -> Self {
        self.column(title, false, 0, false)
    }

    /// Adds a column of numbers, which stand below each other.
    pub(super) fn number(self, title: &'static str) -> Self {
        self.column(title, true, 0, false)
    }

    /// Lets the last column be left out when there is no room; those with the lowest numbers go first.
    pub(super) fn unless_narrow(mut self, sacrifice: u8) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.sacrifice = sacrifice;
        }
        self
    }

    fn column(mut self, title: &'static str, right: bool, sacrifice: u8, shrinks: bool) -> Self {
        self.columns.push(Column {
            title,
            right,
            sacrifice,
            shrinks,
        });
        self
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }

    /// The lines, none longer than `width` unless even a cut table is.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let natural = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            let longest = cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0);
            longest.max(self.columns[at].title.len())
        };
        // Columns in which nothing stands are left out at any width.
        let said = |at: usize| {
            self.rows
                .iter()
                .any(|row| row.get(at).is_some_and(|cell| !cell.text.is_empty()))
        };
        let mut shown: Vec<(usize, usize)> = (0..self.columns.len())
            .filter(|at| said(*at))
            .map(|at| (at, natural(at)))
            .collect();
        let total = |shown: &[(usize, usize)]| {
            let gaps = GAP.len() * shown.len().saturating_sub(1);
            shown.iter().map(|(_, width)| width).sum::<usize>() + gaps
        };
        while total(&shown) > width {
            let sacrifices = shown.iter().map(|(at, _)| self.columns[*at].sacrifice);
            let Some(first) = sacrifices.filter(|sacrifice| *sacrifice > 0).min() else {
                break;
            };
            shown.retain(|(at, _)| self.columns[*at].sacrifice != first);
        }
        while total(&shown) > width {
            let shrinking = shown
                .iter_mut()
                .filter(|(at, width)| self.columns[*at].shrinks && *width > LEAST);
            let Some((_, widest)) = shrinking.max_by_key(|(_, width)| *width) else {
                break;
            };
            *widest -= 1;
        }
        let title = |at: usize| Cell::in_style(DIM, self.columns[at].title);
        let head: Vec<_> = (0..self.columns.len()).map(title).collect();
        std::iter::once(&head)
            .chain(&self.rows)
            .map(|row| self.line(row, &shown))
            .collect()
    }

    fn line(&self, row: &[Cell], shown: &[(usize, usize)]) -> String {
        let last = shown.last().map(|(at, _)| *at);
        let cells = shown.iter().map(|(at, width)| {
            let cell = &row[*at];
            let text = cut(&cell.text, *width);
            let room = " ".repeat(width - text.chars().count());
            let text = if cell.style == Style::new() {
                text
            } else {
                styled(cell.style, text)
            };
            match (self.columns[*at].right, Some(*at) == last) {
                (true, _) => format!("{room}{text}"),
                (false, true) => text,
                (false, false) => format!("{text}{room}"),
            }
        });
        let line = cells.collect::<Vec<_>>().join(GAP);
        line.trim_end().to_owned()
    }
}

/// The text itself, or its beginning and an ellipsis.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

const GAP: &str = "  ";
/// To how many letters a column shrinks.
const LEAST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table, width: usize) -> Vec<String> {
        let lines = table.lines(width);
        lines
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect()
    }

    fn sample() -> Table {
        let mut table = Table::default()
            .text("ID")
            .word("STATE")
            .number("CORES")
            .text("WEB")
            .unless_narrow(1);
        table.row(["worker-20261121", "alive", "2", "http://10.0.0.1:8081"].map(Cell::new));
        table.row(["worker-7", "dead", "16", ""].map(Cell::new));
        table
    }

    #[test]
    fn columns_stand_below_each_other_and_numbers_to_the_right() {
        assert_eq!(
            plain(&sample(), 80),
            [
                "ID               STATE  CORES  WEB",
                "worker-20261121  alive      2  http://10.0.0.1:8081",
                "worker-7         dead      16",
            ]
        );
    }

    #[test]
    fn where_it_is_narrow_columns_are_left_out_and_then_texts_cut() {
        assert_eq!(
            plain(&sample(), 30),
            [
                "ID               STATE  CORES",
                "worker-20261121  alive      2",
                "worker-7         dead      16",
            ]
        );
        assert_eq!(plain(&sample(), 24)[1], "worker-20…  alive      2");
        assert_eq!(
            plain(&sample(), 3)[1],
            "worker-…  alive      2",
            "it is not cut to nothing"
        );
    }

    #[test]
    fn a_column_in_which_nothing_stands_is_left_out() {
        let mut table = Table::default().text("ID").word("GPU");
        table.row(["a", ""].map(Cell::new));
        assert_eq!(plain(&table, 80), ["ID", "a"]);
    }

    #[test]
    fn what_a_peer_says_does_not_steer_the_terminal() {
        let mut table = Table::default().text("NAME");
        table.row([Cell::new("a\x1b[2Jb\n")]);
        assert_eq!(plain(&table, 80)[1], "a\u{fffd}[2Jb\u{fffd}");
    }
}
