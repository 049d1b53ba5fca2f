using Cluster.Contracts.Access;
using Cluster.Contracts.JobFiles;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Npgsql;
using Orleans.Runtime;

namespace Cluster.Scheduler.Api;

/// <summary>The one place where exceptions become gRPC status. What is no expected refusal is logged here, once.</summary>
public sealed partial class ErrorInterceptor(ILogger<ErrorInterceptor> logger) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception fault) when (fault is not RpcException)
        {
            throw ToRpc(fault, context);
        }
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(new CallerStream<TRequest>(requestStream), context);
        }
        catch (Exception fault) when (fault is not RpcException)
        {
            throw ToRpc(fault, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, new AnswerStream<TResponse>(responseStream, () => IsOver(context)), context);
        }
        catch (Exception fault) when (fault is not RpcException)
        {
            throw ToRpc(fault, context);
        }
    }

    // A deadline's status is there before the call's token says that it has passed, and the request's token before the call's.
    private static bool IsOver(ServerCallContext context) =>
        context.Status.StatusCode == StatusCode.DeadlineExceeded || context.GetHttpContext().RequestAborted.IsCancellationRequested;

    private RpcException ToRpc(Exception fault, ServerCallContext context)
    {
        var code = fault switch
        {
            JobFileException { IsTooLarge: true } or TooManyJobsException or TooManyInquiriesException => StatusCode.ResourceExhausted,
            JobFileException or InvalidRequestException or InvalidRegistrationException or ChunkCorruptException
                or ManifestConflictException or InvalidImportException or UnknownQueueException => StatusCode.InvalidArgument,
            InfeasibleJobException or ChunkMissingException or InitialCheckpointException or DependencyException or CheckpointInUseException
                or NoPredictionsException => StatusCode.FailedPrecondition,
            JobNotFoundException or ExperimentNotFoundException or CheckpointNotFoundException => StatusCode.NotFound,
            _ when HoldsNul(fault) => StatusCode.InvalidArgument,
            AttemptFencedException => StatusCode.Aborted,
            ForeignRankException => StatusCode.PermissionDenied,
            StaleStateException or StoreUnavailableException or SchedulerStoppingException or AgentAddressException
                => StatusCode.Unavailable,
            // The silo is starting, stopping, or did not answer in time: another try may find it.
            OrleansMessageRejectionException or TimeoutException => StatusCode.Unavailable,
            OperationCanceledException when context.CancellationToken.IsCancellationRequested => StatusCode.Cancelled,
            _ => StatusCode.Internal,
        };
        if (HoldsNul(fault))
            return new RpcException(new Status(code, "a text in the request has the character U+0000, which is not stored; leave it out"));
        if (code != StatusCode.Internal)
            return new RpcException(new Status(code, StatusText.Of(Words(fault))));
        // What went wrong inside is for the log; the caller gets the call's name to find it by.
        LogFault(fault, context.Method);
        return new RpcException(new Status(code, $"{context.Method} failed inside the scheduler; its log says why"));
    }

    /// <summary>
    /// A secret that a caller put where an id belongs is not repeated, since gRPC logs the words. Chunks are named by hashes, which look
    /// alike and are none.
    /// </summary>
    private static string Words(Exception fault) =>
        fault is ChunkMissingException or ChunkCorruptException ? fault.Message : AccessSecret.Redact(fault.Message);

    // Postgres' words for it, in text and in jsonb. No text of our own has one.
    private static bool HoldsNul(Exception fault) =>
        (fault as PostgresException ?? fault.InnerException as PostgresException)?.SqlState
            is PostgresErrorCodes.CharacterNotInRepertoire or PostgresErrorCodes.UntranslatableCharacter;

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} failed")]
    private partial void LogFault(Exception fault, string method);
}

/// <summary>A request that asks for what cannot be meant. The message names field, value and remedy.</summary>
public sealed class InvalidRequestException(string message) : Exception(message);
