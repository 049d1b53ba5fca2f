"""Against a scheduler in this process that answers as each test tells it to."""
import concurrent.futures
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "src"))

from cluster_client import Cluster, client, flat, messages, word  # noqa: E402
from cluster_client._wire import methods, services  # noqa: E402


class FakeScheduler:
    """answers: by a call's name, what to do with its request."""

    def __init__(self):
        self.answers, self.tokens = {}, []
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        for service in services.values():
            handlers = {name: self._handler(name, streams, request, answer)
                        for name, streams, _, request, answer in methods(service)}
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.full_name, handlers)])
        self.address = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self):
        self._server.stop(None).wait(10)

    def _handler(self, name, streams, request, answer):
        kind = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler

        def answered(asked, context):
            self.tokens.append(dict(context.invocation_metadata()).get("authorization"))
            return self.answers[name](asked, context)

        return kind(answered, request_deserializer=request.FromString, response_serializer=answer.SerializeToString)


class ClientTests(unittest.TestCase):
    def setUp(self):
        self.scheduler = FakeScheduler()
        self.addCleanup(self.scheduler.stop)
        self.cluster = Cluster(self.scheduler.address, token="secret")
        self.addCleanup(self.cluster.close)

    def test_submit_sends_a_file_or_a_dictionary_with_the_token(self):
        asked = []

        def submit(request, _):
            asked.append(request)
            return messages.SubmitJobResponse(job=messages.Job(id="j1"))

        self.scheduler.answers["SubmitJob"] = submit
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("model: lenet5\n")
            file.flush()
            self.assertEqual(self.cluster.submit(file.name).id, "j1")
        self.cluster.submit({"model": "lenet5"}, request_id="r1", wait_for_capacity=True)
        self.assertEqual([request.yaml for request in asked], ["model: lenet5\n", '{"model": "lenet5"}'])
        self.assertEqual(len(asked[0].request_id), 36)
        self.assertEqual((asked[1].request_id, asked[1].wait_for_capacity), ("r1", True))
        self.assertEqual(self.scheduler.tokens, ["Bearer secret"] * 2)

    def test_runs_come_as_rows_page_by_page(self):
        asked = []

        def runs(request, _):
            asked.append((request.where, request.sort, request.page_size, request.page_token))
            run = messages.Run(job_id="j1", state=4, parallelism=1, progress=messages.Progress(step=7, train_loss=0.0))
            run.model.name = "alexnet"
            run.model.options["width"].double_value = 0.5
            run.hyperparameters.optimizer.learning_rate = 0.1
            run.started_at.FromSeconds(1_700_000_000)
            return messages.ListRunsResponse(runs=[run], next_page_token="" if request.page_token else "more")

        self.scheduler.answers["ListRuns"] = runs
        first, second = self.cluster.runs("lr > 0.01", sort="accuracy", limit=5)
        self.assertEqual(asked, [("lr > 0.01", "accuracy", 5, ""), ("lr > 0.01", "accuracy", 4, "more")])
        self.assertEqual(first, second)
        expected = {"jobId": "j1", "state": "running", "model.name": "alexnet", "model.options.width": 0.5, "parallelism": "data",
                    "hyperparameters.optimizer.learningRate": 0.1, "step": 7, "trainLoss": 0.0, "testAccuracy": None,
                    "finishedAt": None}
        self.assertEqual({key: first[key] for key in expected}, expected)
        self.assertEqual(first["startedAt"].year, 2023)

    def test_runs_without_a_limit_are_all_that_there_are(self):
        def runs(request, _):
            begin = int(request.page_token or 0)
            count = min(request.page_size, 150 - begin, 60)
            end = begin + count
            return messages.ListRunsResponse(
                runs=[messages.Run(job_id=str(number)) for number in range(begin, end)], next_page_token=str(end) if end < 150 else "")

        self.scheduler.answers["ListRuns"] = runs
        self.assertEqual([row["jobId"] for row in self.cluster.runs()], [str(number) for number in range(150)])
        self.assertEqual(len(self.cluster.runs(limit=70)), 70)

    def test_logs_outlive_the_scheduler_and_go_on_behind_the_last_line(self):
        asked = []

        def logs(request, context):
            asked.append((request.tail, request.after_sequence, request.follow))
            if len(asked) == 1:
                yield messages.StreamLogsResponse(lines=[messages.LogLine(sequence=number, text=f"line {number}") for number in (7, 8)])
                context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")
            yield messages.StreamLogsResponse(lines=[messages.LogLine(sequence=9, text="line 9")])

        self.scheduler.answers["StreamLogs"] = logs
        with mock.patch.object(client, "SECONDS_BETWEEN_TRIES", 0):
            self.assertEqual(list(self.cluster.logs("j1", follow=True, tail=2)), ["line 7", "line 8", "line 9"])
        self.assertEqual(asked, [(2, 0, True), (0, 8, True)])

    def test_watch_outlives_the_scheduler_and_goes_on_behind_the_last_event(self):
        asked = []

        def watch(request, context):
            asked.append((request.job_id, request.after_sequence))
            if len(asked) == 1:
                yield messages.WatchJobResponse(job=messages.Job(id="j1-whole", state=4), event=messages.JobEvent(sequence=7))
                context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")
            yield messages.WatchJobResponse(job=messages.Job(id="j1-whole", state=6), event=messages.JobEvent(sequence=8))

        self.scheduler.answers["WatchJob"] = watch
        with mock.patch.object(client, "SECONDS_BETWEEN_TRIES", 0):
            self.assertEqual(self.cluster.wait("j1").state, 6)
        self.assertEqual(asked, [("j1", 0), ("j1-whole", 7)])

    def test_a_refusal_is_raised_with_its_reason(self):
        def refuse(_, context):
            context.abort(grpc.StatusCode.NOT_FOUND, "no job begins so")

        def refuse_stream(request, context):
            refuse(request, context)
            yield

        self.scheduler.answers.update(GetJob=refuse, WatchJob=refuse_stream)
        for refused in (lambda: self.cluster.job("j1"), lambda: self.cluster.wait("j1")):
            with self.assertRaises(grpc.RpcError) as fault:
                refused()
            self.assertEqual(fault.exception.details(), "no job begins so")

    def test_the_next_of_several_schedulers_is_asked_where_one_is_away(self):
        self.scheduler.answers["GetJob"] = lambda request, _: messages.GetJobResponse(job=messages.Job(id=request.job_id))
        with Cluster(f"http://127.0.0.1:1,{self.scheduler.address}") as several:
            self.assertEqual(several.job("j1").id, "j1")

    def test_metrics_and_logs_come_in_order(self):
        points = [messages.MetricPoint(name="train/loss", step=step, epoch=1, value=step / 2) for step in (1, 2)]
        self.scheduler.answers.update(
            StreamMetrics=lambda request, _: iter([messages.StreamMetricsResponse(points=[point]) for point in points]),
            StreamLogs=lambda request, _: iter([messages.StreamLogsResponse(lines=[messages.LogLine(text=text)]) for text in "ab"]))
        rows = self.cluster.metrics("j1", ["train/loss"])
        self.assertEqual([(row["series"], row["step"], row["value"]) for row in rows], [("train/loss", 1, 0.5), ("train/loss", 2, 1.0)])
        self.assertEqual(list(self.cluster.logs("j1")), ["a", "b"])


class SettingTests(unittest.TestCase):
    def test_server_and_token_come_from_the_environment(self):
        scheduler = FakeScheduler()
        self.addCleanup(scheduler.stop)
        scheduler.answers["GetJob"] = lambda request, _: messages.GetJobResponse()
        # A proxy that nobody runs: were it asked, the call would fail.
        with tempfile.NamedTemporaryFile("w") as file, mock.patch.dict(os.environ, {
                "CLUSTER_SERVER": scheduler.address, "CLUSTER_TOKEN": "", "CLUSTER_TOKEN_FILE": file.name,
                "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1", "grpc_proxy": "http://127.0.0.1:1",
                "no_proxy": ""}):
            file.write("the one before\nfrom a file\n")
            file.flush()
            with Cluster() as cluster:
                cluster.job("j1")
        self.assertEqual(scheduler.tokens, ["Bearer from a file"])

    def test_an_address_that_is_none_is_named(self):
        with self.assertRaisesRegex(ValueError, "server is localhost:7070 but must be an address"):
            Cluster("localhost:7070")

    def test_words_are_those_of_the_command_line(self):
        job = messages.Job.DESCRIPTOR
        self.assertEqual(word(job.fields_by_name["state"].enum_type, 6), "succeeded")
        self.assertEqual(word(job.fields_by_name["state"].enum_type, 99), "99")
        self.assertIsNone(flat(messages.Job())["createdAt"])


if __name__ == "__main__":
    unittest.main()
