//! The picture on a terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Row, Table};

use super::panels::{Panel, Picture};
use crate::output::printable;
use crate::table::Align;

/// What is on the screen.
#[derive(Default)]
pub(super) struct Screen {
    pub(super) picture: Option<Picture>,
    /// The picture does not change.
    pub(super) is_still: bool,
    /// The panel that has the screen for itself.
    chosen: Option<usize>,
    /// How many of its rows are above.
    above: usize,
}

impl Screen {
    /// Shows one panel in full, or all again.
    pub(super) fn choose(&mut self, panel: usize) {
        self.chosen = if self.chosen == Some(panel) { None } else { Some(panel) };
        self.above = 0;
    }

    /// Shows the next panel in full, and after the last one all.
    pub(super) fn choose_next(&mut self) {
        self.chosen = match self.chosen {
            None => Some(0),
            Some(3) => None,
            Some(panel) => Some(panel + 1),
        };
        self.above = 0;
    }

    pub(super) fn scroll(&mut self, rows: isize) {
        let picture = self.picture.as_ref();
        let all = picture.zip(self.chosen).map_or(0, |(p, panel)| p.panels[panel].rows.len());
        self.above = self.above.saturating_add_signed(rows).min(all.saturating_sub(1));
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let [body, foot] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
        frame.render_widget(self.foot(), foot);
        let Some(picture) = &self.picture else {
            return frame.render_widget(Line::from("looking ..."), body);
        };
        if let Some(chosen) = self.chosen {
            return draw_panel(frame, &picture.panels[chosen], self.above, body);
        }
        let nodes = u16::try_from(picture.panels[0].rows.len()).unwrap_or(u16::MAX);
        let areas: [Rect; 4] = Layout::vertical([
            Constraint::Length(nodes.saturating_add(3).min(body.height / 3)),
            Constraint::Fill(1),
            Constraint::Fill(1),
            Constraint::Fill(1),
        ])
        .areas(body);
        for (panel, area) in picture.panels.iter().zip(areas) {
            draw_panel(frame, panel, 0, area);
        }
    }

    fn foot(&self) -> Line<'static> {
        let trouble = self.picture.as_ref().and_then(|picture| picture.trouble.clone());
        if let Some(trouble) = trouble {
            return Line::styled(printable(&trouble), Style::new().fg(Color::Red));
        }
        let still = if self.is_still { "still; " } else { "" };
        let keys = format!("{still}q leave  Tab one panel  p hold still");
        Line::styled(keys, Style::new().add_modifier(Modifier::DIM))
    }
}

fn draw_panel(frame: &mut Frame<'_>, panel: &Panel, above: usize, area: Rect) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = Span::styled(format!(" {} ", panel.title), bold);
    let widths: Vec<usize> = (0..panel.columns.len())
        .map(|at| {
            let cells = panel.rows.iter().skip(above).take(usize::from(area.height));
            let longest = cells.map(|row| row[at].chars().count()).max().unwrap_or(0);
            longest.max(panel.columns[at].0.len()).min(60)
        })
        .collect();
    let cell = |at: usize, text: &str| {
        let text = printable(text);
        Cell::from(match panel.columns[at].1 {
            Align::Left => Line::from(text),
            Align::Right => Line::from(text).right_aligned(),
        })
    };
    let head = panel.columns.iter().enumerate().map(|(at, (name, _))| cell(at, name));
    let rows = panel.rows.iter().skip(above);
    let rows = rows.map(|row| Row::new(row.iter().enumerate().map(|(at, text)| cell(at, text))));
    let widths =
        widths.iter().map(|width| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
    let table = Table::new(rows, widths)
        .header(Row::new(head).style(Style::new().add_modifier(Modifier::DIM)))
        .column_spacing(2)
        .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_widget(table, area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn panel(title: &str, rows: usize) -> Panel {
        Panel {
            title: title.into(),
            columns: vec![("NAME", Align::Left), ("COUNT", Align::Right)],
            rows: (0..rows).map(|at| vec![format!("{title}-{at}"), at.to_string()]).collect(),
        }
    }

    fn shown(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(40, 20)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn all_panels_share_the_screen_or_one_has_it() {
        let panels = [panel("A", 2), panel("B", 50), panel("C", 1), panel("D", 0)];
        let picture = Some(Picture { panels, only_nodes: false, trouble: None });
        let mut screen = Screen { picture, ..Screen::default() };
        let text = shown(&screen);
        for part in [" A ", "A-1", " B ", "B-0", " C ", "C-0", " D ", "q leave"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains("B-17"));
        screen.choose(1);
        screen.scroll(45);
        let text = shown(&screen);
        assert!(text.contains("B-45") && !text.contains("B-44") && !text.contains("A-1"), "{text}");
        // There is nothing to scroll to beyond the last row.
        screen.scroll(100);
        assert!(shown(&screen).contains("B-49"));
        screen.choose(1);
        assert!(shown(&screen).contains("A-1"));
        screen.picture.as_mut().expect("there is one").trouble = Some("no leader".into());
        assert!(shown(&screen).contains("no leader"));
    }
}
