using System.ComponentModel;
using System.Diagnostics;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>Has models taken apart, or data looked at, by a process that lives for one request, one at a time on this node.</summary>
internal sealed partial class DescribeProcess(
    WorkerCommand command, LaunchThread launchThread, IOptions<AgentOptions> options, ILogger<DescribeProcess> logger)
    : IDisposable
{
    private readonly SemaphoreSlim _one = new(1);

    /// <summary>The answers in the queries' order; fewer if the process ended before it had all.</summary>
    /// <exception cref="RpcException">Internal: it gave no answer at all.</exception>
    public async Task<DescribeModelsResponse> RunAsync(DescribeModelsRequest request, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            if (request.Samples is { } samples)
                samples.DataRoot = options.Value.DataRoot;
            return await StartAndReadAsync(request, cancellationToken);
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    private async Task<DescribeModelsResponse> StartAndReadAsync(DescribeModelsRequest request, CancellationToken cancellationToken)
    {
        using var process = await launchThread.RunAsync(Start, cores: null);
        await using var killing = cancellationToken.Register(() => Kill(process));
        var complaint = process.StandardError.ReadToEndAsync(CancellationToken.None);
        var response = new DescribeModelsResponse();
        try
        {
            request.WriteTo(process.StandardInput.BaseStream);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it had read all: what it answered until then still counts, and its exit tells why.
        }

        // Parsing reads the pipe with blocking calls; the pool has a thread for one such process.
        await Task.Run(() => ReadAnswers(process.StandardOutput.BaseStream, response), CancellationToken.None);
        await process.WaitForExitAsync(CancellationToken.None);
        cancellationToken.ThrowIfCancellationRequested();
        if (process.ExitCode == 0)
            return response;
        LogFailed(ProcessEnd.Decode(process.ExitCode), response.Answers.Count, request.Queries.Count, await complaint);
        return response.Answers.Count > 0
            ? response
            : throw new RpcException(new Status(StatusCode.Internal,
                $"the process that was to {PurposeOf(request)} ended with {ProcessEnd.Decode(process.ExitCode)}"));
    }

    private static string PurposeOf(DescribeModelsRequest request) =>
        request.Queries.Count > 0 ? $"build {request.Queries[0].Model.Name}" : $"read {request.Samples?.Data?.Name}";

    private Process Start()
    {
        var start = new ProcessStartInfo(command.Program)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in command.Arguments.Append("describe"))
            start.ArgumentList.Add(argument);
        start.Environment.Clear();
        foreach (var (name, value) in TrainerEnvironment.For(
            Environment.GetEnvironmentVariables(), new TrainerLaunch { Threads = 1, WorldSize = 1, Device = "cpu:0" }))
            start.Environment[name] = value;
        return Process.Start(start) ?? throw new InvalidOperationException($"{command.Program} did not start");
    }

    private static void ReadAnswers(Stream output, DescribeModelsResponse response)
    {
        while (true)
        {
            try
            {
                response.Answers.Add(ModelAnswer.Parser.ParseDelimitedFrom(output));
            }
            catch (InvalidProtocolBufferException)
            {
                // The stream's end, or an answer that the process's own end has cut off.
                return;
            }
        }
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill();
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            // It has ended.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The process that takes models apart ended with {End} after {Answers} of {Queries} answers: {Complaint}")]
    private partial void LogFailed(ProcessEnd end, int answers, int queries, string complaint);
}
