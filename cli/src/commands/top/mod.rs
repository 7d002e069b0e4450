//! `holdfast top`: nodes, locks, queues and caches, live.
//!
//! `sample` looks at the cluster, `panels` makes rows of two looks, `draw` puts them on a terminal.

mod draw;
mod panels;
mod sample;

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use self::draw::Screen;
use self::panels::Picture;
use self::sample::{Sample, Sampler};
use crate::args::top::TopArgs;
use crate::failure::{Failure, OK};
use crate::output;
use crate::signals::Endings;

/// Looks more often would be a load by themselves.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// How often keys are looked for.
const KEYS_EVERY: Duration = Duration::from_millis(100);

/// Shows the cluster until it is told to stop.
pub(super) async fn run(args: &TopArgs) -> Result<u8, Failure> {
    let every = args.every.max(EVERY_MIN);
    let mut endings = Endings::listen()?;
    let sampler = Sampler::new(&args.endpoints, &args.prefix)?;
    if args.once || !io::stdout().is_terminal() {
        return tokio::select! {
            printed = once(sampler, every) => printed,
            ending = endings.next() => Ok(ending.exit_code()),
        };
    }
    let failed = |e: io::Error| Failure::failed(format!("the terminal cannot be used: {e}"));
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let shown = tokio::select! {
        shown = live(&mut terminal, sampler, every) => shown.map_err(failed),
        _ = endings.next() => Ok(()),
    };
    ratatui::restore();
    shown.map(|()| OK)
}

/// Prints one picture, after two looks, so that it has rates.
async fn once(mut sampler: Sampler, every: Duration) -> Result<u8, Failure> {
    let before = sampler.look().await;
    tokio::time::sleep(every).await;
    let now = sampler.look().await;
    output::print(Picture::of(Some(&before), &now).text())?;
    sampler.close().await;
    match now.trouble {
        Some(trouble) => Err(Failure::failed(trouble)),
        None => Ok(OK),
    }
}

async fn live(
    terminal: &mut ratatui::DefaultTerminal,
    sampler: Sampler,
    every: Duration,
) -> io::Result<()> {
    let (tell, mut samples) = mpsc::channel(1);
    let looking = tokio::spawn(look_again_and_again(sampler, every, tell));
    let mut keys = keys();
    let (mut screen, mut before) = (Screen::default(), None::<Sample>);
    loop {
        terminal.draw(|frame| screen.draw(frame))?;
        tokio::select! {
            sample = samples.recv() => {
                let Some(sample) = sample else { return Ok(()) };
                if !screen.is_still {
                    screen.picture = Some(Picture::of(before.as_ref(), &sample));
                    before = Some(sample);
                }
            }
            event = keys.recv() => match event {
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                    if pressed(&mut screen, key).is_break() {
                        looking.abort();
                        return Ok(());
                    }
                }
                // The size may have changed.
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}

async fn look_again_and_again(mut sampler: Sampler, every: Duration, tell: mpsc::Sender<Sample>) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if tell.send(sampler.look().await).await.is_err() {
            return;
        }
    }
}

/// Events of the terminal, from a thread that waits for them.
fn keys() -> mpsc::Receiver<Event> {
    let (tell, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !tell.is_closed() {
            let event = match event::poll(KEYS_EVERY) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(e) => Err(e),
            };
            if !event.is_ok_and(|event| tell.blocking_send(event).is_ok()) {
                return;
            }
        }
    });
    keys
}

fn pressed(screen: &mut Screen, key: KeyEvent) -> ControlFlow<()> {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return ControlFlow::Break(()),
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            return ControlFlow::Break(());
        }
        KeyCode::Char('p' | ' ') => screen.is_still = !screen.is_still,
        KeyCode::Char(digit @ '1'..='4') => screen.choose(digit as usize - '1' as usize),
        KeyCode::Tab => screen.choose_next(),
        KeyCode::Down | KeyCode::Char('j') => screen.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => screen.scroll(-1),
        KeyCode::PageDown => screen.scroll(20),
        KeyCode::PageUp => screen.scroll(-20),
        _ => {}
    }
    ControlFlow::Continue(())
}
