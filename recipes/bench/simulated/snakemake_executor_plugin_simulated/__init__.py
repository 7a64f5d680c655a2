"""A Snakemake executor that runs nothing: each job of a `relexify run` is done at once, its record an empty JSON object.

What is left is what planning and scheduling cost. Snakemake finds executors by the name of their module.
"""

import json
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode

common_settings = CommonSettings(non_local_exec=False, implies_no_shared_fs=False, job_deploy_sources=False,
                                 pass_envvar_declarations_to_cmd=False, auto_deploy_default_storage_provider=False)


class Executor(RealExecutor):
    """Writes each job's record and stamp."""

    def run_job(self, job):
        info = SubmittedJobInfo(job=job)
        self.report_job_submission(info)
        for stamp in job.output:
            name = Path(stamp).relative_to(".stamps")
            path = Path(".jobs") / name.with_name(name.name + ".json")
            if path.exists():
                record = Path(json.loads(path.read_text(encoding="utf-8"))["record"])
                record.parent.mkdir(parents=True, exist_ok=True)
                record.write_text("{}\n", encoding="utf-8")
            Path(stamp).parent.mkdir(parents=True, exist_ok=True)
            Path(stamp).touch()
        self.report_job_success(info)

    def get_exec_mode(self):
        return ExecMode.DEFAULT

    @property
    def cores(self):
        return self.workflow.resource_settings.cores

    def get_python_executable(self):
        raise NotImplementedError

    def cancel(self):
        pass

    def shutdown(self):
        pass
