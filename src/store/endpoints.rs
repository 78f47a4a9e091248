//! Endpoints: where the daemons can be reached.

use super::table::ENDPOINTS;
use super::{Reader, StoreError, Writer};
use crate::cluster::{Endpoint, Service};

impl Reader {
    /// Where a service can be reached; none where it never ran.
    pub fn endpoint(&self, service: Service) -> Result<Option<Endpoint>, StoreError> {
        self.transaction.get(ENDPOINTS, service.as_str().as_bytes())
    }

    /// Every endpoint.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.transaction.scan(ENDPOINTS, b"")
    }
}

impl Writer {
    /// Writes where a service can be reached.
    pub fn set_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        self.put(ENDPOINTS, endpoint.service.as_str().as_bytes(), endpoint)
    }

    /// Forgets where a service can be reached.
    pub fn remove_endpoint(&mut self, service: Service) -> Result<bool, StoreError> {
        self.remove(ENDPOINTS, service.as_str().as_bytes())
    }
}
