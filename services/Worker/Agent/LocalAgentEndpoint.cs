using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>LocalAgentService: what a trainer gets from its agent itself.</summary>
internal sealed class LocalAgentEndpoint(AttemptTable attempts) : LocalAgentService.LocalAgentServiceBase
{
    public override async Task Attach(AttachRequest request, IServerStreamWriter<AgentSignal> responseStream, ServerCallContext context)
    {
        var (_, rank) = attempts.Authenticate(context);
        try
        {
            await responseStream.WriteAsync(new AgentSignal(), context.CancellationToken);
            await foreach (var signal in rank.Signals.ReadAllAsync(context.CancellationToken))
                await responseStream.WriteAsync(signal, context.CancellationToken);
        }
        catch (OperationCanceledException) when (context.CancellationToken.IsCancellationRequested)
        {
            // The trainer has ended; that is told by its process.
        }
    }

    public override Task<ReserveSharedMemoryResponse> ReserveSharedMemory(ReserveSharedMemoryRequest request, ServerCallContext context)
    {
        var (attempt, _) = attempts.Authenticate(context);
        try
        {
            return Task.FromResult(new ReserveSharedMemoryResponse { Path = attempt.SharedMemory.Reserve(request.Name, request.Bytes) });
        }
        catch (SharedMemoryException e)
        {
            throw new RpcException(new Status(e.IsForWantOfMemory ? StatusCode.ResourceExhausted : StatusCode.InvalidArgument, e.Message));
        }
        catch (ObjectDisposedException)
        {
            throw new RpcException(new Status(StatusCode.Aborted, "the attempt's trainers have ended"));
        }
    }

    public override Task<ReportFaultResponse> ReportFault(ReportFaultRequest request, ServerCallContext context)
    {
        var (_, rank) = attempts.Authenticate(context);
        rank.Fault = request.Message;
        return Task.FromResult(new ReportFaultResponse());
    }
}
