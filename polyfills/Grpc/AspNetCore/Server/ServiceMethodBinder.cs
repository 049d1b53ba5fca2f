using System.Reflection;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server;

/// <summary>One RPC of a service class, ready to be routed.</summary>
internal sealed record BoundMethod(IMethod Method, MethodInfo Implementation, Func<HttpServerCallContext, Task> Invoke);

/// <summary>Learns a service's RPCs from its generated code and ties each to the method of <typeparamref name="TService"/> that implements it.</summary>
internal sealed class ServiceMethodBinder<TService>(CallSettings settings) : ServiceBinderBase
    where TService : class
{
    private static readonly ObjectFactory<TService> Create = ActivatorUtilities.CreateFactory<TService>([]);

    private delegate Task<TResponse> UnaryCall<TRequest, TResponse>(TService service, TRequest request, ServerCallContext context);

    private delegate Task<TResponse> ClientStreamingCall<TRequest, TResponse>(
        TService service, IAsyncStreamReader<TRequest> requests, ServerCallContext context);

    private delegate Task ServerStreamingCall<TRequest, TResponse>(
        TService service, TRequest request, IServerStreamWriter<TResponse> responses, ServerCallContext context);

    private delegate Task DuplexStreamingCall<TRequest, TResponse>(
        TService service, IAsyncStreamReader<TRequest> requests, IServerStreamWriter<TResponse> responses, ServerCallContext context);

    public List<BoundMethod> Methods { get; } = [];

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
    {
        var implementation = Find(method, typeof(TRequest), typeof(ServerCallContext));
        var call = implementation.CreateDelegate<UnaryCall<TRequest, TResponse>>();
        var intercepted = settings.Interceptors.Around<TRequest, TResponse>(
            (request, context) => WithServiceAsync(context, service => call(service, request, context)));
        Methods.Add(new BoundMethod(method, implementation, async context =>
        {
            var request = await context.ReadSingleAsync(method.RequestMarshaller);
            context.WriteSingle(method.ResponseMarshaller, await intercepted(request, context));
        }));
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var implementation = Find(method, typeof(IAsyncStreamReader<TRequest>), typeof(ServerCallContext));
        var call = implementation.CreateDelegate<ClientStreamingCall<TRequest, TResponse>>();
        var intercepted = settings.Interceptors.Around<TRequest, TResponse>(
            (requests, context) => WithServiceAsync(context, service => call(service, requests, context)));
        Methods.Add(new BoundMethod(method, implementation, async context =>
        {
            var requests = new RequestStreamReader<TRequest>(context, method.RequestMarshaller);
            context.WriteSingle(method.ResponseMarshaller, await intercepted(requests, context));
        }));
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var implementation = Find(method, typeof(TRequest), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));
        var call = implementation.CreateDelegate<ServerStreamingCall<TRequest, TResponse>>();
        var intercepted = settings.Interceptors.Around<TRequest, TResponse>(
            (request, responses, context) => WithServiceAsync(context, service => Done(call(service, request, responses, context))));
        Methods.Add(new BoundMethod(method, implementation, async context =>
        {
            var request = await context.ReadSingleAsync(method.RequestMarshaller);
            await intercepted(request, new ResponseStreamWriter<TResponse>(context, method.ResponseMarshaller), context);
        }));
    }

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler)
    {
        var implementation = Find(method, typeof(IAsyncStreamReader<TRequest>), typeof(IServerStreamWriter<TResponse>), typeof(ServerCallContext));
        var call = implementation.CreateDelegate<DuplexStreamingCall<TRequest, TResponse>>();
        var intercepted = settings.Interceptors.Around<TRequest, TResponse>(
            (requests, responses, context) => WithServiceAsync(context, service => Done(call(service, requests, responses, context))));
        Methods.Add(new BoundMethod(method, implementation, context => intercepted(
            new RequestStreamReader<TRequest>(context, method.RequestMarshaller),
            new ResponseStreamWriter<TResponse>(context, method.ResponseMarshaller),
            context)));
    }

    private static MethodInfo Find(IMethod method, params Type[] parameters) =>
        typeof(TService).GetMethod(method.Name, BindingFlags.Public | BindingFlags.Instance, parameters)
        ?? throw new InvalidOperationException($"Could not find '{method.Name}' on {typeof(TService)}.");

    /// <summary>Takes the service from the container when it is registered there, else makes one for this call.</summary>
    private static async Task<T> WithServiceAsync<T>(ServerCallContext context, Func<TService, Task<T>> call)
    {
        var services = context.GetHttpContext().RequestServices;
        if (services.GetService<TService>() is { } registered)
            return await call(registered);
        var created = Create(services, []);
        try
        {
            return await call(created);
        }
        finally
        {
            await Disposal.DisposeAsync(created);
        }
    }

    private static async Task<bool> Done(Task task)
    {
        await task;
        return true;
    }
}
