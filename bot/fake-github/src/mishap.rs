//! Owns mishaps of webhooks by order: which of the next are lost, come twice, or come late. Counted, never random.

use crate::FakeGitHub;
use crate::model::event::Deliveries;

/// What happens to a webhook on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It never comes; GitHub shows it as failed.
    Lost,
    /// It comes twice, with the same `X-GitHub-Delivery`.
    Twice,
    /// It comes after so many later ones, or when [`FakeGitHub::release_deliveries`] lets it go.
    Late(u32),
}

#[derive(Debug)]
struct Order {
    /// The event, or `*`.
    event: String,
    left: u32,
    mishap: Mishap,
}

/// What is ordered, and what is late.
#[derive(Debug, Default)]
pub(crate) struct Mishaps {
    orders: Vec<Order>,
    /// How many later ones each must let pass; the oldest first.
    late: Vec<(u64, u32)>,
}

impl Mishaps {
    fn strike(&mut self, event: &str) -> Option<Mishap> {
        let hit = self.orders.iter_mut().find(|it| it.event == "*" || it.event == event)?;
        hit.left = hit.left.saturating_sub(1);
        let mishap = hit.mishap;
        self.orders.retain(|it| it.left > 0);
        Some(mishap)
    }
}

impl Deliveries {
    /// Puts a new webhook on its way.
    pub(crate) fn arrive(&mut self, id: u64) {
        let event = self.records.get(&id).map(|it| it.event.clone()).unwrap_or_default();
        match self.mishaps.strike(&event) {
            Some(Mishap::Lost) => return self.lose(id),
            Some(Mishap::Twice) => self.pending.extend([id, id]),
            Some(Mishap::Late(behind)) if behind > 0 => {
                self.mishaps.late.push((id, behind));
                return;
            }
            Some(Mishap::Late(_)) | None => self.pending.push_back(id),
        }
        self.overtaken();
        self.wake.notify_one();
    }

    /// One more came before those that are late.
    fn overtaken(&mut self) {
        self.mishaps.late.iter_mut().for_each(|(_, behind)| *behind -= 1);
        let arrived: Vec<u64> =
            self.mishaps.late.iter().filter(|(_, behind)| *behind == 0).map(|(id, _)| *id).collect();
        self.mishaps.late.retain(|(_, behind)| *behind > 0);
        self.pending.extend(arrived);
    }

    pub(crate) fn lose(&mut self, id: u64) {
        if let Some(record) = self.records.get_mut(&id) {
            record.dropped = true;
            record.answer = Some((0, "lost on purpose".into()));
        }
    }
}

/// Mishaps by order.
impl FakeGitHub {
    /// The next `times` webhooks of this event (`*`: of any) have this mishap.
    pub fn disturb_next(&self, event: &str, times: u32, mishap: Mishap) {
        if times > 0 {
            let order = Order { event: event.to_owned(), left: times, mishap };
            self.shared.model().deliveries.mishaps.orders.push(order);
        }
    }

    /// Forgets what was ordered and lets come what is late, the oldest first; answers how many that are.
    pub fn release_deliveries(&self) -> usize {
        let mut model = self.shared.model();
        let deliveries = &mut model.deliveries;
        deliveries.mishaps.orders.clear();
        let late: Vec<u64> = std::mem::take(&mut deliveries.mishaps.late).into_iter().map(|(id, _)| id).collect();
        deliveries.pending.extend(&late);
        deliveries.wake.notify_one();
        late.len()
    }
}
