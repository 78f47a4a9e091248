//! What costs a peer nothing to say, and us a look around: interest, chokes, our small extensions. Each peer may say so much of
//! it at once and so much each second, so that nobody can keep a machine busy with words. What is beyond is not listened
//! to, and very much of it counts as nonsense. Not sooner: a liar that takes back what it grants, again and again, makes
//! an honest machine tell its rack-mates each time what it fetches.

use super::message::Message;
use std::time::Duration;

/// Words at once.
const WORDS_MAX: u32 = 1024;
/// Words for each second. A machine says a few in that time, with a file after the other that its installer wants some dozens.
const WORDS_PER_SEC: u32 = 256;
/// Words for each piece that it gains (a rack-mate says what it fetches), and for each request that it turns down (it says
/// when there is room).
const WORDS_EARNED: u32 = 2;
/// Words that are not listened to before they are nonsense.
const UNHEARD_MAX: u32 = 8192;

/// What becomes of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It is listened to.
    Heard,
    /// It is one too many.
    Unheard,
    /// It is one of far too many.
    Nonsense,
}

/// One peer's account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talk {
    left: u32,
    /// Until when it was paid for.
    paid_until: Duration,
    unheard: u32,
}

impl Talk {
    pub(super) fn new(now: Duration) -> Self {
        Self { left: WORDS_MAX, paid_until: now, unheard: 0 }
    }

    /// What becomes of what the peer says now.
    pub(super) fn says(&mut self, now: Duration, message: &Message) -> Word {
        match message {
            Message::Have(_) | Message::Reject(_) => {
                self.left = (self.left + WORDS_EARNED).min(WORDS_MAX);
                return Word::Heard;
            }
            // These are counted where they are judged.
            Message::Bitfield(_) | Message::HaveAll | Message::HaveNone => return Word::Heard,
            Message::Request(_) | Message::Cancel(_) => return Word::Heard,
            Message::KeepAlive | Message::Choke | Message::Unchoke => {}
            Message::Interested | Message::NotInterested | Message::Extended { .. } => {}
        }
        let each = Duration::from_secs(1) / WORDS_PER_SEC;
        let paid = (now.saturating_sub(self.paid_until).as_nanos() / each.as_nanos()).min(u128::from(WORDS_MAX)) as u32;
        if paid > 0 {
            self.left = (self.left + paid).min(WORDS_MAX);
            self.paid_until = if paid == WORDS_MAX { now } else { self.paid_until + each * paid };
        }
        if self.left > 0 {
            self.left -= 1;
            return Word::Heard;
        }
        self.unheard = self.unheard.saturating_add(1);
        if self.unheard > UNHEARD_MAX { Word::Nonsense } else { Word::Unheard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_words_at_once_and_so_many_each_second() {
        let mut talk = Talk::new(Duration::ZERO);
        let mut heard = |secs, message: &Message, times: usize| {
            (0..times).filter(|_| talk.says(Duration::from_secs(secs), message) == Word::Heard).count()
        };
        assert_eq!(heard(0, &Message::Unchoke, 2000), WORDS_MAX as usize);
        assert_eq!(heard(1, &Message::KeepAlive, 2000), WORDS_PER_SEC as usize);
        assert_eq!(heard(1, &Message::Have(1), 2000), 2000);
        assert_eq!(heard(1, &Message::Interested, 2000), WORDS_MAX as usize, "each piece earns some");
        assert_eq!(heard(3600, &Message::Choke, 2000), WORDS_MAX as usize);
        let words: Vec<Word> = (0..10_000).map(|_| talk.says(Duration::from_secs(3600), &Message::Choke)).collect();
        assert_eq!((words[0], words[9999]), (Word::Unheard, Word::Nonsense));
    }
}
