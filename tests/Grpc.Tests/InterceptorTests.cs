using Cluster.Grpc.Tests.Protos;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Cluster.Grpc.Tests;

public sealed class InterceptorTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ServerInterceptors_StandAroundEveryKindOfCall_FirstRegisteredOutermost()
    {
        var journal = new List<string>();
        await using var server = await EchoServer.StartAsync(
            options =>
            {
                options.Interceptors.Add<Journalist>("outer");
                options.Interceptors.Add<Journalist>("inner");
            },
            services: services => services.AddSingleton(journal));
        using var channel = GrpcChannel.ForAddress(server.Address);
        var client = new Echo.EchoClient(channel);

        await client.UnaryAsync(new EchoRequest(), cancellationToken: Cancellation);
        using (var collect = client.Collect(cancellationToken: Cancellation))
        {
            await collect.RequestStream.CompleteAsync();
            await collect;
        }
        using (var expand = client.Expand(new EchoRequest(), cancellationToken: Cancellation))
            (await expand.ResponseStream.MoveNext(Cancellation)).ShouldBeFalse();
        using (var chat = client.Chat(cancellationToken: Cancellation))
        {
            await chat.RequestStream.CompleteAsync();
            (await chat.ResponseStream.MoveNext(Cancellation)).ShouldBeFalse();
        }
        await server.ActiveCalls.WhenNoneAsync().WaitAsync(Cancellation);

        journal.ShouldBe(
        [
            "outer Unary", "inner Unary", "inner disposed", "outer disposed",
            "outer ClientStreaming", "inner ClientStreaming", "inner disposed", "outer disposed",
            "outer ServerStreaming", "inner ServerStreaming", "inner disposed", "outer disposed",
            "outer DuplexStreaming", "inner DuplexStreaming", "inner disposed", "outer disposed",
        ]);
    }

    [Fact]
    public async Task ServerInterceptor_ThatIsRegistered_IsTakenFromTheContainer()
    {
        var counter = new Counter();
        await using var server = await EchoServer.StartAsync(options => options.Interceptors.Add<Counter>(), services: services => services.AddSingleton(counter));
        using var channel = GrpcChannel.ForAddress(server.Address);
        var client = new Echo.EchoClient(channel);
        await client.UnaryAsync(new EchoRequest(), cancellationToken: Cancellation);
        await client.UnaryAsync(new EchoRequest(), cancellationToken: Cancellation);
        counter.Calls.ShouldBe(2);
    }

    [Fact]
    public async Task ServerInterceptor_MayTurnExceptionsIntoStatuses()
    {
        await using var server = await EchoServer.StartAsync(options => options.Interceptors.Add<Translator>());
        using var channel = GrpcChannel.ForAddress(server.Address);
        var failure = await Should.ThrowAsync<RpcException>(new Echo.EchoClient(channel)
            .UnaryAsync(new EchoRequest { Behaviour = Behaviour.Throw }, cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
    }

    [Fact]
    public async Task DetailedErrors_TellTheExceptionWhereTheyAreEnabled()
    {
        await using var server = await EchoServer.StartAsync(options => options.EnableDetailedErrors = true);
        using var channel = GrpcChannel.ForAddress(server.Address);
        var failure = await Should.ThrowAsync<RpcException>(new Echo.EchoClient(channel)
            .UnaryAsync(new EchoRequest { Behaviour = Behaviour.Throw }, cancellationToken: Cancellation).ResponseAsync);
        failure.Status.Detail.ShouldBe("Exception was thrown by handler. InvalidOperationException: a secret of the server");
    }

    [Fact]
    public async Task SendLimit_OfTheServer_IsResourceExhausted()
    {
        await using var server = await EchoServer.StartAsync(options => options.MaxSendMessageSize = 10);
        using var channel = GrpcChannel.ForAddress(server.Address);
        var failure = await Should.ThrowAsync<RpcException>(new Echo.EchoClient(channel)
            .UnaryAsync(new EchoRequest { Text = "longer than ten bytes" }, cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
    }

    [Fact]
    public async Task ServiceOptions_OverrideThoseOfAllServices()
    {
        await using var server = await EchoServer.StartAsync(
            options => options.MaxReceiveMessageSize = 10,
            services: services => services.AddGrpc().AddServiceOptions<EchoService>(options => options.MaxReceiveMessageSize = 1000));
        using var channel = GrpcChannel.ForAddress(server.Address);
        var request = new EchoRequest { Text = new string('a', 100) };
        (await new Echo.EchoClient(channel).UnaryAsync(request, cancellationToken: Cancellation)).Text.ShouldBe(request.Text);
        var failure = await Should.ThrowAsync<RpcException>(new Zip.ZipClient(channel).UnaryAsync(request, cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
    }

    [Fact]
    public async Task ClientInterceptors_ChangeTheCall_FirstNamedOutermost()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);
        var client = new Echo.EchoClient(channel.Intercept(new Stamper("first"), new Stamper("second")));
        await client.UnaryAsync(new EchoRequest(), cancellationToken: Cancellation);
        server.Record.LastCall!.RequestHeaders.GetValue("x-stamp").ShouldBe("first, second", "HttpClient joins what is repeated, as HTTP allows");

        using var chat = client.Chat(cancellationToken: Cancellation);
        await chat.RequestStream.WriteAsync(new EchoRequest(), Cancellation);
        (await chat.ResponseStream.MoveNext(Cancellation)).ShouldBeTrue();
        server.Record.LastCall.Method.ShouldBe("/polyfill.v1.Echo/Chat");
        server.Record.LastCall.RequestHeaders.GetAll("x-stamp").ShouldBeEmpty("only unary calls are stamped");
    }

    private sealed class Journalist(string name, List<string> journal) : Interceptor, IDisposable
    {
        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            journal.Add($"{name} Unary");
            return continuation(request, context);
        }

        public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
        {
            journal.Add($"{name} ClientStreaming");
            return continuation(requestStream, context);
        }

        public override Task ServerStreamingServerHandler<TRequest, TResponse>(
            TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
        {
            journal.Add($"{name} ServerStreaming");
            return continuation(request, responseStream, context);
        }

        public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream,
            IServerStreamWriter<TResponse> responseStream,
            ServerCallContext context,
            DuplexStreamingServerMethod<TRequest, TResponse> continuation)
        {
            journal.Add($"{name} DuplexStreaming");
            return continuation(requestStream, responseStream, context);
        }

        public void Dispose() => journal.Add($"{name} disposed");
    }

    private sealed class Counter : Interceptor
    {
        public int Calls { get; private set; }

        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            Calls++;
            return continuation(request, context);
        }
    }

    private sealed class Translator : Interceptor
    {
        public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            try
            {
                return await continuation(request, context);
            }
            catch (InvalidOperationException e)
            {
                throw new RpcException(new Status(StatusCode.FailedPrecondition, e.Message));
            }
        }
    }

    private sealed class Stamper(string stamp) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            var headers = new Metadata();
            foreach (var entry in context.Options.Headers ?? [])
                headers.Add(entry);
            headers.Add("x-stamp", stamp);
            return continuation(request, new ClientInterceptorContext<TRequest, TResponse>(context.Method, context.Host, context.Options.WithHeaders(headers)));
        }
    }
}
