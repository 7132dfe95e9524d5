//! TransferService.

use std::pin::Pin;

use futures::Stream;
use proto::contacts::v1::transfer_service_server::TransferService;
use proto::contacts::v1::{
    self, CancelImportRequest, CancelImportResponse, CreateImportRequest, CreateImportResponse,
    ExportContactsRequest, ExportContactsResponse, GetImportRequest, GetImportResponse,
    ListImportRowsRequest, ListImportRowsResponse, ListImportsRequest, ListImportsResponse,
    RunImportRequest, RunImportResponse, UploadImportChunkRequest, UploadImportChunkResponse,
    WatchImportRequest, WatchImportResponse,
};
use tonic::{Request, Response, Status};
use types::ImportName;

use super::Api;
use super::calls::{Marks, call, natural_call, parse, respond, workspace};
use super::status::status;
use crate::app::{ChunkInput, ImportsInput, RowsInput};
use crate::domain::imports::Import;
use crate::error::Error;
use crate::wire::imports::{format_from_wire, message, row_message};

#[tonic::async_trait]
impl TransferService for Api {
    async fn create_import(
        &self,
        request: Request<CreateImportRequest>,
    ) -> Result<Response<CreateImportResponse>, Status> {
        let body = request.get_ref();
        let marks = Marks {
            method: "clientele.contacts.v1.TransferService/CreateImport",
            workspace: &workspace("parent", &body.parent)?,
            request_id: &body.request_id,
            validate_only: body.validate_only,
        };
        let stripped = CreateImportRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let call = call(&request, &marks, &stripped);
        let import = stripped.import.as_ref().and_then(import_of);
        let import = import.ok_or_else(|| no_format("import.format"))?;
        let parent = marks.workspace.to_owned();
        let written = self
            .app
            .create_import(call, parent, import)
            .await
            .map_err(status)?;
        let answer = CreateImportResponse {
            import: Some(written.import),
            consistency_token: written.consistency_token,
        };
        Ok(respond(answer, written.replayed))
    }

    async fn upload_import_chunk(
        &self,
        request: Request<UploadImportChunkRequest>,
    ) -> Result<Response<UploadImportChunkResponse>, Status> {
        let name: ImportName = parse("name", &request.get_ref().name)?;
        // The piece itself is bytes, not text, and may hold anything.
        let call = call(
            &request,
            &Marks {
                method: "",
                workspace: &name.workspace,
                request_id: "",
                validate_only: false,
            },
            &UploadImportChunkRequest::default(),
        );
        let body = request.into_inner();
        let input = ChunkInput {
            name,
            offset: body.offset,
            data: body.data,
        };
        let written = self
            .app
            .upload_import_chunk(call, input)
            .await
            .map_err(status)?;
        Ok(Response::new(UploadImportChunkResponse {
            import: Some(written.import),
            consistency_token: written.consistency_token,
        }))
    }

    async fn run_import(
        &self,
        request: Request<RunImportRequest>,
    ) -> Result<Response<RunImportResponse>, Status> {
        let body = request.get_ref();
        let name: ImportName = parse("name", &body.name)?;
        let marks = Marks {
            method: "clientele.contacts.v1.TransferService/RunImport",
            workspace: &name.workspace,
            request_id: &body.request_id,
            validate_only: body.validate_only,
        };
        let stripped = RunImportRequest {
            request_id: String::new(),
            ..body.clone()
        };
        let call = call(&request, &marks, &stripped);
        let written = self
            .app
            .run_import(call, name, stripped.dry_run)
            .await
            .map_err(status)?;
        let answer = RunImportResponse {
            import: Some(written.import),
            consistency_token: written.consistency_token,
        };
        Ok(respond(answer, written.replayed))
    }

    async fn get_import(
        &self,
        request: Request<GetImportRequest>,
    ) -> Result<Response<GetImportResponse>, Status> {
        let deadline = serve::deadline(&request);
        let name = parse("name", &request.get_ref().name)?;
        let import = self.app.get_import(name, deadline).await.map_err(status)?;
        Ok(Response::new(GetImportResponse {
            import: Some(message(&import)),
        }))
    }

    async fn list_imports(
        &self,
        request: Request<ListImportsRequest>,
    ) -> Result<Response<ListImportsResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let input = imports_input(&body)?;
        let listed = self.app.list_imports(input, deadline).await;
        let (imports, next_page_token) = listed.map_err(status)?;
        Ok(Response::new(ListImportsResponse {
            imports: imports.iter().map(message).collect(),
            next_page_token,
        }))
    }

    async fn list_import_rows(
        &self,
        request: Request<ListImportRowsRequest>,
    ) -> Result<Response<ListImportRowsResponse>, Status> {
        let deadline = serve::deadline(&request);
        let body = request.into_inner();
        let input = rows_input(&body)?;
        let name = input.name.clone();
        let listed = self.app.list_import_rows(input, deadline).await;
        let (rows, next_page_token) = listed.map_err(status)?;
        Ok(Response::new(ListImportRowsResponse {
            rows: rows.iter().map(|row| row_message(&name, row)).collect(),
            next_page_token,
        }))
    }

    type WatchImportStream =
        Pin<Box<dyn Stream<Item = Result<WatchImportResponse, Status>> + Send>>;

    async fn watch_import(
        &self,
        request: Request<WatchImportRequest>,
    ) -> Result<Response<Self::WatchImportStream>, Status> {
        let deadline = serve::deadline(&request);
        let name: ImportName = parse("name", &request.get_ref().name)?;
        let watch = self
            .app
            .watch_import(name, deadline)
            .await
            .map_err(status)?;
        let stream = futures::stream::unfold(watch, |mut watch| async {
            match watch.next().await {
                Ok(import) => {
                    let import = Some(message(&import?));
                    Some((Ok(WatchImportResponse { import }), watch))
                }
                Err(error) => {
                    watch.end();
                    Some((Err(status(error)), watch))
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn cancel_import(
        &self,
        request: Request<CancelImportRequest>,
    ) -> Result<Response<CancelImportResponse>, Status> {
        let call = natural_call(&request);
        let name = parse("name", &request.get_ref().name)?;
        let written = self.app.cancel_import(call, name).await.map_err(status)?;
        Ok(Response::new(CancelImportResponse {
            import: Some(written.import),
            consistency_token: written.consistency_token,
        }))
    }

    type ExportContactsStream =
        Pin<Box<dyn Stream<Item = Result<ExportContactsResponse, Status>> + Send>>;

    async fn export_contacts(
        &self,
        request: Request<ExportContactsRequest>,
    ) -> Result<Response<Self::ExportContactsStream>, Status> {
        let body = request.into_inner();
        let parent = workspace("parent", &body.parent)?;
        let format = format_from_wire(body.format).ok_or_else(|| no_format("format"))?;
        let export = self
            .app
            .export_contacts(parent, format, &body.filter)
            .map_err(status)?;
        let stream = futures::stream::unfold(Some(export), |export| async {
            let mut export = export?;
            match export.next().await {
                Ok(Some(data)) => Some((Ok(ExportContactsResponse { data }), Some(export))),
                Ok(None) => None,
                Err(error) => Some((Err(status(error)), None)),
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// The import that is asked for, where its format is one.
pub(super) fn import_of(given: &v1::Import) -> Option<Import> {
    Some(Import {
        format: format_from_wire(given.format)?,
        mapping: given.mapping.clone(),
        dry_run: given.dry_run,
        no_header: given.no_header,
        requested_stage: given.requested_stage.clone(),
        default_region: given.default_region.clone(),
        ..Import::default()
    })
}

/// What ListImports was given.
pub(super) fn imports_input(body: &ListImportsRequest) -> Result<ImportsInput, Status> {
    Ok(ImportsInput {
        workspace: workspace("parent", &body.parent)?,
        page_size: body.page_size,
        page_token: body.page_token.clone(),
        filter: body.filter.clone(),
        order_by: body.order_by.clone(),
    })
}

/// What ListImportRows was given.
pub(super) fn rows_input(body: &ListImportRowsRequest) -> Result<RowsInput, Status> {
    Ok(RowsInput {
        name: parse("name", &body.name)?,
        page_size: body.page_size,
        page_token: body.page_token.clone(),
        filter: body.filter.clone(),
    })
}

/// The proto's rules let no other format pass.
fn no_format(path: &str) -> Status {
    let problem = "must be CSV, VCARD or NDJSON";
    status(Error::field(path, "enum.defined_only", problem))
}
