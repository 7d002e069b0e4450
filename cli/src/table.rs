//! Text tables: columns as wide as their widest cell, numbers to the right.

use crate::output::printable;

/// Which side the cells of a column keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// A table under construction.
pub(crate) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let header = columns.iter().map(|(name, _)| (*name).into()).collect();
        Self { aligns: columns.iter().map(|(_, align)| *align).collect(), rows: vec![header] }
    }

    /// Adds a row. A cell that is missing stays blank.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The table as text, each line ended.
    pub(crate) fn render(&self) -> String {
        let cell =
            |row: &'_ Vec<String>, column| row.get(column).map_or("", String::as_str).to_owned();
        let widths: Vec<usize> = (0..self.aligns.len())
            .map(|column| self.rows.iter().map(|row| width(&cell(row, column))).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, align) in self.aligns.iter().enumerate() {
                let cell = cell(row, column);
                let blank = " ".repeat(widths[column] - width(&cell));
                let gap = if column == 0 { "" } else { "  " };
                line += &match align {
                    Align::Left => format!("{gap}{cell}{blank}"),
                    Align::Right => format!("{gap}{blank}{cell}"),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table =
            Table::new(&[("NAME", Align::Left), ("N", Align::Right), ("", Align::Left)]);
        table.row(["a".into(), "10".into(), "x".into()]);
        table.row(["größer".into(), "5".into()]);
        table.row([]);
        let expect = "NAME     N\na       10  x\ngrößer   5\n\n";
        assert_eq!(table.render(), expect);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&[("NAME", Align::Left)]);
        table.row(["a\u{1b}[2Jb\nc".into()]);
        assert_eq!(table.render(), "NAME\na\u{fffd}[2Jb\u{fffd}c\n");
    }
}
