//! Tables in a light box.

/// Rows under a header. Header cells are centred, the others stand right.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with one column for each of `headers`, shown in upper case.
    pub fn new<S: AsRef<str>>(headers: &[S]) -> Self {
        let header = headers.iter().map(|text| text.as_ref().replace('_', " ").to_uppercase()).collect();
        Self { rows: vec![header] }
    }

    /// Adds a row; it has as many cells as the header.
    pub fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Draws the table, a line feed after each line.
    pub fn draw(&self) -> String {
        let columns = self.rows[0].len();
        let width_of =
            |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| display_width(cell));
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| width_of(row, column)).max().unwrap_or(0))
            .collect();
        let rule = |left: &str, middle: &str, right: &str| {
            let parts: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
            format!("{left}{}{right}\n", parts.join(middle))
        };
        let mut out = rule("┌", "┬", "┐");
        for (position, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let space = width - display_width(cell);
                let left = if position == 0 { space / 2 } else { space };
                out.push_str(&format!("│ {}{cell}{} ", " ".repeat(left), " ".repeat(space - left)));
            }
            out.push_str("│\n");
            if position == 0 && self.rows.len() > 1 {
                out.push_str(&rule("├", "┼", "┤"));
            }
        }
        out.push_str(&rule("└", "┴", "┘"));
        out
    }
}

/// Columns that a terminal needs for `text`: two for wide East Asian characters and pictures, none for marks.
fn display_width(text: &str) -> usize {
    text.chars()
        .map(|ch| match u32::from(ch) {
            0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
            0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
            0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_drawn_as_the_reference_draws_it() {
        let mut table = Table::new(&["ID", "Status", "is_learner"]);
        table.push(["ca50e9357181d758", "started", "false"]);
        assert_eq!(
            table.draw(),
            "\
┌──────────────────┬─────────┬────────────┐
│        ID        │ STATUS  │ IS LEARNER │
├──────────────────┼─────────┼────────────┤
│ ca50e9357181d758 │ started │      false │
└──────────────────┴─────────┴────────────┘
"
        );
    }

    #[test]
    fn a_table_without_rows_keeps_its_header() {
        assert_eq!(Table::new(&["a"]).draw(), "┌───┐\n│ A │\n└───┘\n");
    }
}
