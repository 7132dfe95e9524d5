//! Verifying issued invoices: numbers without a gap, hashes that follow one another, counters that
//! agree.

use ::store::Error as StoreError;
use proto::billing::v1;
use types::WorkspaceName;

use super::App;
use super::calls::Call;
use super::invoices::name;
use crate::domain::numbers::{InvoiceNumber, Series};
use crate::error::Error;
use crate::store::invoices as rows;
use crate::store::series::{self, Head};

impl App {
    /// Checks numbers and hashes of issued invoices; answers how many there are.
    pub async fn invoice_verify(
        &self,
        call: &Call,
        request: v1::VerifyInvoicesRequest,
    ) -> Result<v1::VerifyInvoicesResponse, Error> {
        let workspace = name::<WorkspaceName>("parent", &request.parent)?.workspace;
        let (of, within) = (request.series, workspace.clone());
        let year = (request.year != 0).then_some(request.year);
        let (heads, uncounted) = self
            .store
            .within(&workspace)
            .read("invoices.series", call.deadline, move |conn| {
                let series = (!of.is_empty()).then_some(of.as_str());
                let heads = series::head_list(conn, &within, series, year)?;
                let uncounted = rows::invoice_uncounted(conn, &within, series, year)?;
                Ok((heads, uncounted))
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        let mut invoices = 0;
        for (series, head) in heads {
            self.series_verify(call, &workspace, series, &head).await?;
            invoices += head.sequence;
        }
        match uncounted {
            Some(number) => Err(broken(&workspace, number, "no counter has given it")),
            None => Ok(v1::VerifyInvoicesResponse { invoices }),
        }
    }

    async fn series_verify(
        &self,
        call: &Call,
        workspace: &str,
        series: Series,
        head: &Head,
    ) -> Result<(), Error> {
        let mut checked = rows::chain_start();
        while checked.sequence < head.sequence {
            let (within, of, from, to) = (
                workspace.to_owned(),
                series.clone(),
                checked.clone(),
                head.clone(),
            );
            let slice: Result<Head, rows::Break> = self
                .store
                .within(workspace)
                .read("invoices.verify", call.deadline, move |conn| {
                    rows::invoice_verify_slice(conn, &within, &of, &from, &to)
                })
                .await
                .map_err(|error: StoreError| Error::from(error))?;
            checked = slice.map_err(|found| {
                let number = InvoiceNumber {
                    series: series.clone(),
                    sequence: found.sequence,
                };
                broken(workspace, number, found.problem)
            })?;
        }
        Ok(())
    }
}

fn broken(workspace: &str, number: InvoiceNumber, problem: &'static str) -> Error {
    Error::HistoryBroken {
        workspace: format!("workspaces/{workspace}"),
        number: number.to_string(),
        series: number.series.series,
        year: number.series.year,
        problem,
    }
}
