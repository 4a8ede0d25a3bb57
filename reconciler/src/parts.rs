//! What the engine works with: the store, the ports and a few settings.

use std::fmt;
use std::sync::Arc;

use model::mask::Masker;
use model::ports::{Blobs, Clock, Executor, ForgeRead, ForgeWrite, IacEngine, Ids, Source};

use crate::logs::Logs;
use crate::seal::Seal;
use crate::secrets::Secrets;
use crate::states::States;
use crate::store::Store;

/// What the engine works with.
pub struct Parts {
    /// Rows.
    pub store: Store,
    /// Seals logs.
    pub seal: Seal,
    /// Reads GitHub.
    pub forge: Arc<dyn ForgeRead>,
    /// Writes to GitHub.
    pub publisher: Arc<dyn ForgeWrite>,
    /// Git.
    pub source: Arc<dyn Source>,
    /// Where jobs run.
    pub executor: Arc<dyn Executor>,
    /// terraform and OpenTofu.
    pub iac: Arc<dyn IacEngine>,
    /// Plan files.
    pub blobs: Arc<dyn Blobs>,
    /// States that are kept here.
    pub states: States,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// The rest.
    pub settings: EngineSettings,
}

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Links begin with it; no `/` at its end.
    pub public_url: String,
    /// Where jobs find the states that are kept here; no `/` at its end. `None`: nowhere, nothing is served.
    pub state_url: Option<String>,
    /// This process, for leases: unique among replicas.
    pub owner: String,
    /// Runs at the same time, of all replicas together.
    pub slots: u32,
    /// May plans be applied from here? A preview may not.
    pub applies: bool,
    /// What no log may show, whatever job wrote it.
    pub masks: Masker,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Parts {
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(self.store.clone(), self.seal.clone(), self.clock.clone())
    }

    pub(crate) fn logs(&self) -> Logs {
        Logs::new(self.store.clone(), self.seal.clone())
    }
}
