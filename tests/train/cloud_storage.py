"""An emulator of Cloud Storage, with a header that only real answers have.

python -m tests.train.cloud_storage start --port PORT --in-memory --default-bucket NAME
"""

import contextlib

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects

_download = objects.download


def download(request, response, storage, *args, **kwargs):
    # TensorStore refuses to write over an object of which it has read no generation.
    with contextlib.suppress(NotFound):
        about = storage.get_file_obj(request.params["bucket_name"], request.params["object_id"])
        response["X-Goog-Generation"] = about["generation"]
    return _download(request, response, storage, *args, **kwargs)


objects.download = download

if __name__ == "__main__":
    from gcp_storage_emulator.__main__ import main  # takes the function above

    main()
