"""What a worker gets of its agent's environment: what programs need to run, and nothing that may be a secret.

An agent is started from shells and service managers whose environment holds tokens of clouds, package indexes
and of this endpoint itself, under names nobody can list. So what goes on is listed, not what does not.
"""

import os
import re
from collections.abc import Collection, Mapping

#: Where programs, libraries and files are, who runs, and in which language.
_NAMES = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "PWD", "TERM", "LANG", "LANGUAGE", "TZ", "TZDIR",
    "TMPDIR", "TMP", "TEMP", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH", "LIBRARY_PATH", "GLIBC_TUNABLES",
    "PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "PYTHONUNBUFFERED",
    "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
    "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONPLATLIBDIR", "PYTHONFAULTHANDLER", "PYTHONWARNINGS",
    "PYTHONDEVMODE", "PYTHONMALLOC", "PYTHONTRACEMALLOC", "PYTHONSAFEPATH", "PYTHONCOERCECLOCALE",
    "PYTHONINTMAXSTRDIGITS", "PYTHONASYNCIODEBUG", "PYTHON_GIL", "VIRTUAL_ENV", "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR", "MPLBACKEND", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NO_PROXY", "no_proxy", "MODULEPATH", "MODULESHOME",
    "LOADEDMODULES", "_LMFILES_", "JOB_ID", "JOB_NAME", "SGE_TASK_ID", "NSLOTS", "NHOSTS", "PE_HOSTFILE",
})  # fmt: skip
#: Families of such names: languages, numeric libraries, accelerators, schedulers, MPI.
_FAMILIES = re.compile(
    "(?:LC|CONDA|MALLOC|OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|NUMEXPR|VECLIB|NUMBA|TBB"
    "|CUDA|NVIDIA|NCCL|CUBLAS|CUDNN|ROCR|HIP|HSA|GPU|ZE|XLA|JAX|TF|LMOD"
    "|SLURM|SBATCH|PBS|SGE|LSB|LSF|COBALT|FLUX|PALS|PMI|PMIX|OMPI|MPI|I_MPI|MV2|UCX|FI|PRTE)_"
)
#: Within a family there may be one after all, such as SLURM_JWT or PBS_JOBCOOKIE.
_SECRET = re.compile("TOKEN|SECRET|PASS|CREDENTIAL|KEY|JWT|COOKIE|AUTH|SESSION", re.IGNORECASE)
#: How many threads numeric libraries start.
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip
#: Without these many tasks could reach nothing; one with an account in it stays here.
_PROXIES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "all_proxy"})


def worker_environment(
    environ: Mapping[str, str], named: Collection[str] = (), workers: int = 0
) -> dict[str, str]:
    """The part of an agent's environment that its workers get; ``named`` are variables to add by name.

    Of so many workers each has its share of the cores for the threads of numeric libraries, unless the
    agent's environment says otherwise: as many threads in each as there are cores only hinder one another.
    """
    found = {name: value for name, value in environ.items() if name in named or _is_harmless(name, value)}
    if workers and "OMP_NUM_THREADS" not in found:  # which all of these go by, where their own is not set
        share = str(max(1, cores() // workers))
        found = dict.fromkeys(_THREADS, share) | found
    return found


def cores() -> int:
    """Of the machine, as far as this process may use them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_harmless(name: str, value: str) -> bool:
    if name.lower() in _PROXIES:
        return "@" not in value
    return name in _NAMES or (_FAMILIES.match(name) is not None and not _SECRET.search(name))
